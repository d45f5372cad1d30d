-- The shares of scenes are as before (population stability index).
-- table: split.records
-- needs: previous
-- severity: warn
-- values: {psi: 0.2, psi_rows: 200}
with
counts as (
    select scene, count(*) as now, 0 as before from this where scene is not null group by all
    union all select scene, 0, count(*) from previous where scene is not null group by all
),
bins as (select 'scene' as "column", scene, sum(now) as now, sum(before) as before from counts group by all),
stability as (
    select "column", round(psi(list(now), list(before)), 3) as psi, sum(now) as now, sum(before) as before
    from bins group by all
),
failing as (select * from stability where psi > $psi and least(now, before) >= $psi_rows)
select * from failing
