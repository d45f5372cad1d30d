-- A field that was filled in is a number or a fact of the record.
-- table: clean.records
with
imputed as (
    select record_id, source, numbers, facts, unnest(imputed) as name from this where len(imputed) > 0
),
named as (select *, split_part(name, '.', 1) as kind, substr(name, strpos(name, '.') + 1) as key from imputed),
failing as (
    select record_id, source from named
    where not coalesce(
        case kind
            when 'numbers' then list_contains(map_keys(numbers), key)
            when 'facts' then list_contains(map_keys(facts), key)
        end,
        false
    )
)
select * from failing
