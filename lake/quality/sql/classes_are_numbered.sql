-- Classes are numbered from 0 without a gap, and their names are unique.
-- table: tokenize@*.classes
with
numbered as (
    select *, row_number() over (order by "index", label) - 1 as place, count(*) over (partition by label) as rows
    from this
),
failing as (select * from numbered where "index" is distinct from place or rows > 1 or label is null)
select * from failing
