-- Few classified texts were longer than a sample.
-- table: tokenize@*.samples
-- severity: warn
-- warn_if: > 5 %
with
failing as (select sample_id, part, shard from this where len(labels) = 1 and length = len(input_ids))
select * from failing
