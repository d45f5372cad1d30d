-- A unit of annotation is decided, or its reason for review is known.
-- table: annotate.units
-- lists: decided, todo_reasons
with
outcomes as (select outcome, count(*) as rows from this group by outcome),
failing as (
    select * from outcomes where outcome is null or not list_contains($decided || $todo_reasons, outcome)
)
select * from failing
