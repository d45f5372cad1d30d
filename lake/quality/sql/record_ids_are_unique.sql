-- Record ids are unique.
-- table: *.records
with
keys as (select record_id, count(*) as rows from this group by all),
failing as (select * from keys where rows > 1 or record_id is null)
select * from failing
