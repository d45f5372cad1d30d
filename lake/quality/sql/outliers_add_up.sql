-- The chosen method counts as many outliers as were rejected.
-- table: clean.outliers
-- needs: clean.rejects
with
named as (
    select source, unnest(string_split(detail, ',')) as "column", 1 as rejected, 0 as counted
    from rejects where reason = 'outlier'
),
rows as (from named union all select source, "column", 0, rejected from this where chosen),
sums as (
    select source, "column", sum(rejected)::bigint as rejected, sum(counted)::bigint as counted from rows group by all
),
failing as (select * from sums where rejected <> counted)
select * from failing
