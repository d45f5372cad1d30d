-- Train, validation and test have rows.
-- table: split.records
-- lists: parts
with
parts as (select unnest($parts) as split),
failing as (select split from parts anti join this using (split))
select * from failing
