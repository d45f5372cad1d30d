-- No scene is the majority of a part.
-- table: split.records
-- severity: warn
-- values: {scene_share: 0.5}
with
scenes as (select split, scene, count(*) as rows from this where scene is not null group by all),
shares as (select *, round(rows / sum(rows) over (partition by split), 3) as share from scenes),
failing as (select * from shares where share > $scene_share)
select * from failing
