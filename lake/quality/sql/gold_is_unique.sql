-- A gold label is listed once.
-- table: annotate.gold
with
keys as (select record_id, layer, label, start, "end", count(*) as rows from this group by all),
failing as (select * from keys where rows > 1 or record_id is null or layer is null or label is null)
select * from failing
