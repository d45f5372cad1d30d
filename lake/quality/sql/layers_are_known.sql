-- A layer of annotation is entity, term or scene.
-- table: ingest.annotations, mask.annotations, annotate.gold, annotate.units, annotate.todo, annotate.agreement
-- lists: layers
with
layers as (select layer, count(*) as rows from this group by layer),
failing as (select * from layers where layer is null or not list_contains($layers, layer))
select * from failing
