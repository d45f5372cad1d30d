-- A record's id is the hash of its source and its key.
-- table: ingest.records
with
failing as (
    select record_id, source from this
    where record_id is distinct from left(sha256(source || chr(31) || source_key), 32)
)
select * from failing
