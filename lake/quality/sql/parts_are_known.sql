-- A record's part is train, validation or test; it is easy, medium or hard.
-- table: split.records
-- lists: parts, difficulties
with
failing as (
    select record_id, source, split, difficulty from this
    where split is null or not list_contains($parts, split)
        or difficulty is null or not list_contains($difficulties, difficulty)
)
select * from failing
