-- Mask keeps every deduplicated record or rejects it for the personal data in it, and has no other.
-- table: mask.records
-- needs: dedup.records
with
rejected as (select record_id from mask.rejects where reason = 'personal_data'),
failing as (
    select coalesce(before.record_id, after.record_id) as record_id from dedup.records as before
    full join (select record_id from this union all from rejected) as after on before.record_id = after.record_id
    where before.record_id is null or after.record_id is null
)
select * from failing
