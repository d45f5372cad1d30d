-- A duplicate was removed, and its survivor was kept.
-- table: dedup.duplicates
with
failing as (
    select removed, kept from this
    where removed not in (select record_id from dedup.rejects)
        or removed in (select record_id from dedup.records)
        or kept not in (select record_id from dedup.records)
)
select * from failing
