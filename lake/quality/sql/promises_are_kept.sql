-- The split keeps each of its guarantees.
-- table: split.report
-- severity: warn
with
failing as (select promise, expected, actual, detail from this where not kept)
select * from failing
