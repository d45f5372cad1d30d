-- A sample has tokens and targets, and every token has the number of its record.
-- table: tokenize@*.samples
with
failing as (
    select sample_id, part, shard from this
    where not coalesce(
        length > 0 and len(record_ids) > 0 and list_max(labels) >= 0
        and len(list_filter(segments, lambda segment: segment > 0)) = length,
        false
    )
)
select * from failing
