-- Train, validation and test have samples.
-- table: tokenize@*.samples
with
parts as (select unnest(['train', 'validation', 'test']) as part),
failing as (select part from parts anti join this using (part))
select * from failing
