-- A source's newest record is not much older than the newest of all sources.
-- table: ingest.records
-- severity: warn
-- values: {stale_days: 400}
with
newest as (select source, max(occurred_at) as newest from this group by source),
ages as (select *, date_diff('day', newest, max(newest) over ()) as days from newest),
failing as (select * from ages where days > $stale_days)
select * from failing
