-- The role of an annotation is source, annotator, arbitrator or committee.
-- table: ingest.annotations, mask.annotations
-- lists: roles
with
roles as (select role, count(*) as rows from this group by role),
failing as (select * from roles where role is null or not list_contains($roles, role))
select * from failing
