-- Mask keeps every deduplicated record, and has no other.
-- table: mask.records
-- needs: dedup.records
with
failing as (
    select coalesce(before.record_id, this.record_id) as record_id from dedup.records as before
    full join this on before.record_id = this.record_id
    where before.record_id is null or this.record_id is null
)
select * from failing
