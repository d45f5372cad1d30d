-- Masked values are counted by known kinds, shipped ones or the project's own, each at least once.
-- table: mask.records, split.records
with
kinds as (
    select record_id, source, unnest(map_entries(masked), recursive := true)
    from this where cardinality(masked) > 0
),
failing as (
    select record_id, source, key as kind, value as number from kinds
    where not regexp_full_match(key, '[a-z][a-z0-9_]{0,31}') or coalesce(value, 0) < 1
)
select * from failing
