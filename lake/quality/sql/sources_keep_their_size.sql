-- A source has not lost many of the records that it had before.
-- table: ingest.records
-- needs: previous
-- severity: warn
-- values: {kept_share: 0.8}
with
counts as (
    select source, count(*) as now, 0 as before from this group by source
    union all select source, 0, count(*) from previous group by source
),
sizes as (select source, sum(now) as now, sum(before) as before from counts group by source),
failing as (select * from sizes where now < before * $kept_share)
select * from failing
