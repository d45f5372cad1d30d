-- Few labels of a source are rejected for personal data in them: many would mean a wrong column.
-- table: mask.annotations
-- values: {personal_share: 0.2}
with
counts as (
    select source, 0 as rejected, count(*) as kept from this group by source
    union all select source, count(*), 0 from mask.rejects
    -- The detail of a rejected annotation begins with the column that held the value.
    where reason = 'personal_data' and regexp_matches(detail, '^(label|annotator): ') group by source
),
sizes as (select source, sum(rejected)::bigint as rejected, sum(kept)::bigint as kept from counts group by source),
shares as (select *, round(rejected / (rejected + kept), 3) as share from sizes),
failing as (select * from shares where share > $personal_share)
select * from failing
