-- A label, a unit and a task for a human are of a masked record.
-- table: annotate.gold, annotate.units, annotate.todo
-- needs: mask.records
with
failing as (select record_id, layer from this anti join mask.records using (record_id))
select * from failing
