-- Who annotates is a source, an annotator, an arbitrator or the committee.
-- table: ingest.annotations, mask.annotations
-- lists: roles
with
roles as (select role, count(*) as rows from this group by role),
failing as (select * from roles where role is null or not list_contains($roles, role))
select * from failing
