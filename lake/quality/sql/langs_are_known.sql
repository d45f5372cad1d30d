-- A record's language is an ISO 639 code; und: unknown.
-- table: ingest.records, split.records
with
failing as (select record_id, source, lang from this where not regexp_full_match(lang, '[a-z]{2,3}'))
select * from failing
