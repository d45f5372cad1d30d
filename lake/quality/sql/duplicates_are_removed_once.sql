-- A removed duplicate is named once, with the record kept in its place.
-- table: dedup.duplicates
with
keys as (select removed, count(*) as rows, count(kept) as kept from this group by removed),
failing as (select * from keys where rows > 1 or kept < rows or removed is null)
select * from failing
