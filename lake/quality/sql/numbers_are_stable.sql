-- Numbers are distributed as before (population stability index over deciles).
-- table: clean.records
-- needs: previous
-- severity: warn
-- values: {psi: 0.2, psi_rows: 200}
with
after as (
    select source, unnest(map_keys(numbers)) as "column", unnest(map_values(numbers)) as value from this
),
earlier as (
    select source, unnest(map_keys(numbers)) as "column", unnest(map_values(numbers)) as value from previous
),
deciles as (
    select source, "column", quantile_cont(value, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) as edges
    from earlier group by all
),
placed as (
    select source, "column", value, 1 as now, 0 as before from after
    union all select source, "column", value, 0, 1 from earlier
),
bins as (
    select source, "column", len(list_filter(edges, lambda edge: edge <= value)) as bin,
        sum(now) as now, sum(before) as before
    from placed join deciles using (source, "column") group by all
),
stability as (
    select source, "column", round(psi(list(now), list(before)), 3) as psi, sum(now) as now, sum(before) as before
    from bins group by all
),
failing as (select * from stability where psi > $psi and least(now, before) >= $psi_rows)
select * from failing
