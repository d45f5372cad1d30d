-- Dedup keeps or rejects every clean record, and no other.
-- table: dedup.records
-- needs: clean.records
with
rows as (
    select record_id, 1 as before, 0 as kept, 0 as rejected from clean.records
    union all select record_id, 0, 1, 0 from this
    union all select record_id, 0, 0, 1 from dedup.rejects
),
records as (
    select record_id, sum(before) as before, sum(kept) as kept, sum(rejected) as rejected from rows group by record_id
),
failing as (select * from records where before <> 1 or kept + rejected <> 1)
select * from failing
