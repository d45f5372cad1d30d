-- A record and a layer are one unit of annotation.
-- table: annotate.units, annotate.todo
with
keys as (select record_id, layer, count(*) as rows from this group by all),
failing as (select * from keys where rows > 1 or record_id is null or layer is null)
select * from failing
