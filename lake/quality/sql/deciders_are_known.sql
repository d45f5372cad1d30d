-- A gold label was agreed, arbitrated, voted for by the committee or taken from the source.
-- table: annotate.gold
-- lists: decided
with
deciders as (select decided_by, count(*) as rows from this group by decided_by),
failing as (select * from deciders where decided_by is null or not list_contains($decided, decided_by))
select * from failing
