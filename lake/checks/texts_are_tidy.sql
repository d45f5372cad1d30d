-- A stored text is not empty, and has no space at its ends and no invisible characters.
-- table: clean.records, split.records
with
failing as (
    select record_id, source from this
    where regexp_matches(text, '^\s|\s$|^$|[\x00-\x08\x0b-\x1f\x7f-\x9f\x{ad}\x{200b}-\x{200f}\x{2060}-\x{206f}\x{feff}]')
)
select * from failing
