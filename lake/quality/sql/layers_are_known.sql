-- A layer of annotation is entity, term or scene.
-- table: ingest.annotations, mask.annotations, annotate.gold, annotate.units, annotate.todo, annotate.agreement
with
layers as (select layer, count(*) as rows from this group by layer),
failing as (select * from layers where layer is null or layer not in ('entity', 'term', 'scene'))
select * from failing
