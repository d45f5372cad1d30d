-- Near-duplicates are in one part.
-- table: split.records
with
parts as (select cluster, count(distinct split) as parts from this group by cluster having parts > 1),
failing as (select record_id, source, cluster, split from this semi join parts using (cluster))
select * from failing
