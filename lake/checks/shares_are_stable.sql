-- The shares of sources, businesses and languages are much as they were (population stability index).
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
shares as (
    select "column", (now + 0.5) / sum(now + 0.5) over per as p, (before + 0.5) / sum(before + 0.5) over per as q,
        sum(now) over per as now, sum(before) over per as before
    from bins window per as (partition by "column")
),
stability as (
    select "column", round(sum((p - q) * ln(p / q)), 3) as psi, any_value(now) as now, any_value(before) as before
    from shares group by all
),
failing as (select * from stability where psi > $psi and least(now, before) >= $psi_rows)
select * from failing
