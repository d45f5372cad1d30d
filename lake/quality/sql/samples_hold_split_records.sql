-- A sample's records are in the split, in the part of the sample.
-- table: tokenize@*.samples
-- needs: split.records
with
used as (select sample_id, part, unnest(record_ids) as record_id from this),
failing as (
    select sample_id, record_id, part, split from used left join split.records using (record_id)
    where part is distinct from split
)
select * from failing
