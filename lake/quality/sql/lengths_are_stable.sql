-- The lengths of texts are distributed as before (population stability index over deciles).
-- table: clean.records
-- needs: previous
-- severity: warn
-- values: {psi: 0.2, psi_rows: 200}
with
after as (select source, 'length' as "column", length(text) as value from this where text is not null),
earlier as (select source, 'length' as "column", length(text) as value from previous where text is not null),
deciles as (
    select source, "column", quantile_cont(value, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) as edges
    from earlier group by all
),
counts as (
    select source, "column", value, count(*) as now, 0 as before from after group by all
    union all select source, "column", value, 0, count(*) from earlier group by all
),
bins as (
    select source, "column", len(list_filter(edges, lambda edge: edge <= value)) as bin,
        sum(now) as now, sum(before) as before
    from counts join deciles using (source, "column") group by all
),
stability as (
    select source, "column", round(psi(list(now), list(before)), 3) as psi, sum(now) as now, sum(before) as before
    from bins group by all
),
failing as (select * from stability where psi > $psi and least(now, before) >= $psi_rows)
select * from failing
