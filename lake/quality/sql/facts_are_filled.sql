-- A stored fact is not empty.
-- table: clean.records, split.records
with
failing as (
    select record_id, source from this
    where len(list_filter(map_values(facts), lambda fact: coalesce(fact, '') = '')) > 0
)
select * from failing
