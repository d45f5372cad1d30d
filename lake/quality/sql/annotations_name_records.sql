-- An annotation belongs to a record of its stage.
-- table: ingest.annotations, mask.annotations
with
failing as (select record_id, layer from this anti join records using (record_id))
select * from failing
