-- A record's cluster is the id of a kept record.
-- table: dedup.records, mask.records
with
failing as (
    select record_id, source, this.cluster from this
    where cluster is distinct from record_id
        and not coalesce(cluster in (select record_id from this), false)
)
select * from failing
