-- Train, validation and test have samples.
-- table: tokenize@*.samples
-- lists: parts
with
parts as (select unnest($parts) as part),
failing as (select part from parts anti join this using (part))
select * from failing
