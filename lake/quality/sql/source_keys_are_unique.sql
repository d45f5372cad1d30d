-- Every record has a key, and its source holds that key once.
-- table: ingest.records
with
keys as (
    select source, source_key, min(record_id) as record_id, count(*) as rows from this group by source, source_key
),
failing as (select record_id, source, rows from keys where rows > 1 or source is null or source_key is null)
select * from failing
