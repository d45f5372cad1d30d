-- Train, validation and test have rows.
-- table: split.records
with
parts as (select unnest(['train', 'validation', 'test']) as split),
failing as (select split from parts anti join this using (split))
select * from failing
