-- A stored number is not null and is finite.
-- table: clean.records, split.records
with
failing as (
    select record_id, source from this
    where len(list_filter(map_values(numbers), lambda number: number is null or not isfinite(number))) > 0
)
select * from failing
