-- The shares of sources, businesses and languages are as before (population stability index).
-- table: ingest.records
-- needs: previous
-- severity: warn
-- values: {psi: 0.2, psi_rows: 200}
with
counts as (
    select source, business, lang, count(*) as now, 0 as before from this group by all
    union all select source, business, lang, 0, count(*) from previous group by all
),
named as (
    select unnest(['source', 'business', 'lang']) as "column", unnest([source, business, lang]) as value, now, before
    from counts
),
bins as (select "column", value, sum(now) as now, sum(before) as before from named group by all),
stability as (
    select "column", round(psi(list(now), list(before)), 3) as psi, sum(now) as now, sum(before) as before
    from bins group by all
),
failing as (select * from stability where psi > $psi and least(now, before) >= $psi_rows)
select * from failing
