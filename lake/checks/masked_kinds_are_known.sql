-- What was masked is counted by known kinds, each at least once.
-- table: mask.records, split.records
with
kinds as (
    select record_id, source, unnest(map_entries(masked), recursive := true)
    from this where cardinality(masked) > 0
),
failing as (
    select record_id, source, key as kind, value as number from kinds
    where key not in (
        'url', 'email', 'resident_id', 'credit_code', 'iban', 'card', 'ssn', 'passport', 'phone', 'plate', 'wechat', 'qq',
        'ip', 'address', 'name'
    ) or coalesce(value, 0) < 1
)
select * from failing
