-- A record is in one sample, or in none when it was rejected.
-- table: tokenize@*.samples
with
used as (
    select unnest(record_ids) as record_id, 1 as samples, 0 as rejected from this
    union all select record_id, 0, 1 from rejects
),
records as (select record_id, sum(samples) as samples, sum(rejected) as rejected from used group by record_id),
failing as (select * from records where samples + rejected > 1)
select * from failing
