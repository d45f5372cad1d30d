-- A record's part is train, validation or test; it is easy, medium or hard.
-- table: split.records
with
failing as (
    select record_id, source, split, difficulty from this
    where split is null or split not in ('train', 'validation', 'test')
        or difficulty is null or difficulty not in ('easy', 'medium', 'hard')
)
select * from failing
