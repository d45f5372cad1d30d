-- Few rows of a source are rejected.
-- table: ingest.rejects, clean.rejects, split.rejects
-- severity: warn
-- values: {rejected_share: 0.2}
with
counts as (
    select source, 0 as rejected, count(*) as kept from records group by source
    union all select source, count(*), 0 from this group by source
),
sizes as (select source, sum(rejected)::bigint as rejected, sum(kept)::bigint as kept from counts group by source),
shares as (select *, round(rejected / (rejected + kept), 3) as share from sizes),
failing as (select * from shares where share > $rejected_share)
select * from failing
