-- What waits for a human says what it waits for.
-- table: annotate.todo
with
reasons as (select reason, count(*) as rows from this group by reason),
failing as (
    select * from reasons
    where reason is null or reason not in ('one_annotator', 'needs_arbitrator', 'needs_committee', 'below_gate')
)
select * from failing
