-- A record has at most one scene.
-- table: annotate.gold
with
scenes as (select record_id, count(*) as rows from this where layer = 'scene' group by record_id),
failing as (select * from scenes where rows > 1)
select * from failing
