-- A unit of annotation is decided or says what it waits for.
-- table: annotate.units
with
outcomes as (select outcome, count(*) as rows from this group by outcome),
failing as (
    select * from outcomes
    where outcome is null or outcome not in (
        'agreed', 'arbitrated', 'committee', 'source',
        'one_annotator', 'needs_arbitrator', 'needs_committee', 'below_gate'
    )
)
select * from failing
