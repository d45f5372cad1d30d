-- A classified sample has one label, the number of a class.
-- table: tokenize@*.samples
with
failing as (
    select sample_id, part, labels[1] as label from this
    where exists (from classes) and (len(labels) <> 1 or labels[1] not in (select "index" from classes))
)
select * from failing
