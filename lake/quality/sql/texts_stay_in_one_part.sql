-- Equal texts are in one part.
-- table: split.records
with
parts as (
    select hash(text) as key, count(distinct split) as parts from this
    where text is not null group by key having parts > 1
),
failing as (select record_id, source, split from this semi join parts on hash(text) = parts.key)
select * from failing
