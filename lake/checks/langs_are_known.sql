-- A record's language is one of the known ones.
-- table: ingest.records, split.records
-- values: {langs: [zh, en, und]}
with
failing as (select record_id, source, lang from this where not list_contains($langs, lang))
select * from failing
