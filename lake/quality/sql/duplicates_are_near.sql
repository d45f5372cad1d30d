-- A duplicate is another record than its survivor and no further away than two hashes can be.
-- table: dedup.duplicates
with
failing as (
    select * from this
    where removed = kept or not coalesce(distance between 0 and 64 and similarity between 0 and 1, false)
)
select * from failing
