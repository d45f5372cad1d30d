-- A duplicate differs from its survivor, and their distance is at most the number of bits of a hash.
-- table: dedup.duplicates
with
failing as (
    select * from this
    where removed = kept or not coalesce(distance between 0 and 64 and similarity between 0 and 1, false)
)
select * from failing
