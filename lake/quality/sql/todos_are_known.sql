-- Every entry of the review queue has a known reason.
-- table: annotate.todo
-- lists: todo_reasons
with
reasons as (select reason, count(*) as rows from this group by reason),
failing as (select * from reasons where reason is null or not list_contains($todo_reasons, reason))
select * from failing
