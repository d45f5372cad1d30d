-- A record's time is within the years in which the business has records.
-- table: ingest.records, split.records
-- severity: warn
-- values: {earliest: 1970-01-01, latest: 2100-01-01}
with
failing as (select record_id, source, occurred_at from this where occurred_at < $earliest or occurred_at >= $latest)
select * from failing
