-- Mask keeps every deduplicated record or rejects it for personal data, and holds no other.
-- table: mask.records
-- needs: dedup.records
with
rows as (
    select record_id, 1 as before, 0 as after from dedup.records
    union all select record_id, 0, 1 from this
    -- The detail of a rejected annotation begins with the column that held the value.
    union all select record_id, 0, 1 from mask.rejects
    where reason = 'personal_data' and not regexp_matches(detail, '^(label|annotator): ')
),
records as (select record_id, sum(before) as before, sum(after) as after from rows group by record_id),
failing as (select record_id from records where before <> 1 or after <> 1)
select * from failing
