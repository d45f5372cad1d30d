-- A record has a source, a time and a language, and a text or a number.
-- table: ingest.records, clean.records, split.records
with
failing as (
    select record_id, source, occurred_at, lang from this
    where source is null or source_key is null or occurred_at is null or lang is null
        or (coalesce(text, '') = '' and coalesce(cardinality(numbers), 0) = 0)
)
select * from failing
