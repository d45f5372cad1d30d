-- A record's scene is its gold label.
-- table: split.records
-- needs: annotate.gold
with
gold as (select record_id, any_value(label) as label from annotate.gold where layer = 'scene' group by record_id),
failing as (
    select record_id, source, scene, label from this left join gold using (record_id)
    where scene is distinct from label
)
select * from failing
