-- A rejected record is named once, with its id.
-- table: clean.rejects, dedup.rejects, split.rejects, select@*.rejects, tokenize@*.rejects
with
keys as (select record_id, count(*) as rows from this group by all),
failing as (select * from keys where rows > 1 or record_id is null)
select * from failing
