-- Outliers are counted once for each source, business, column and method, and are fewer than the rows.
-- table: clean.outliers
with
groups as (
    select source, business, "column", method, count(*) as counts, max(rejected) as rejected, max(rows) as rows
    from this group by all
),
failing as (select * from groups where counts > 1 or rejected >= rows)
select * from failing
