-- A unit counts its gold labels correctly.
-- table: annotate.units
with
labels as (select record_id, layer, count(*) as found from annotate.gold group by all),
failing as (
    select record_id, layer, labels as said, found from this full join labels using (record_id, layer)
    where coalesce(labels, 0) <> coalesce(found, 0)
)
select * from failing
