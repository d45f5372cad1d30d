-- Who annotates is a source, an annotator, an arbitrator or the committee.
-- table: ingest.annotations, mask.annotations
with
roles as (select role, count(*) as rows from this group by role),
failing as (
    select * from roles where role is null or role not in ('source', 'annotator', 'arbitrator', 'committee')
)
select * from failing
