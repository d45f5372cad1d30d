-- A value that is not a number is absent from its record's numbers, and is named once.
-- table: ingest.unparsable
with
named as (select record_id, source, "column", count(*) as rows from this group by all),
joined as (
    select named.*, records.record_id is not null as known, numbers["column"] as value
    from named left join records using (record_id)
),
failing as (select record_id, source, "column", rows from joined where rows > 1 or not known or value is not null)
select * from failing
