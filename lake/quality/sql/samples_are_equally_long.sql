-- All samples of a run have the same number of tokens.
-- table: tokenize@*.samples
with
width as (select mode(len(input_ids)) as width from this),
failing as (
    select sample_id, part, shard, len(input_ids) as tokens, len(segments) as segments from this, width
    where len(input_ids) is distinct from width or len(segments) is distinct from width or length > width
)
select * from failing
