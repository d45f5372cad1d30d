-- The counts of masked values add up to those of the records.
-- table: mask.counts
with
kinds as (
    select source, lang, unnest(map_entries(masked), recursive := true)
    from mask.records where cardinality(masked) > 0
),
found as (select source, lang, key as kind, sum(value) as found from kinds group by all),
failing as (
    select source, kind, this.count as said, found from this
    full join found using (source, lang, kind)
    where this.count is distinct from found
)
select * from failing
