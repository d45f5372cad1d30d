-- A stored text is not empty, has no space at its ends and no invisible characters.
-- table: clean.records
with
failing as (
    select record_id, source from this
    where text = ''
        or starts_with(text, ' ') or starts_with(text, chr(10)) or ends_with(text, ' ') or ends_with(text, chr(10))
        or regexp_matches(
            text, '[\x00-\x08\x0b-\x1f\x7f-\x9f\x{ad}\x{200b}-\x{200f}\x{2028}\x{2029}\x{2060}-\x{206f}\x{feff}]'
        )
)
select * from failing
