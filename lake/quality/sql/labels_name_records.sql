-- A label, a unit and an entry of the review queue belong to a masked record.
-- table: annotate.gold, annotate.units, annotate.todo
-- needs: mask.records
with
failing as (select record_id, layer from this anti join mask.records using (record_id))
select * from failing
