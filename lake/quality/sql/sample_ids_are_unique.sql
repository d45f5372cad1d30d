-- Sample ids are unique.
-- table: tokenize@*.samples
with
keys as (select sample_id, count(*) as rows from this group by all),
failing as (select * from keys where rows > 1 or sample_id is null)
select * from failing
