-- A selected record is named once, kept or rejected.
-- table: select@*.records
with
named as (select record_id from this union all select record_id from rejects),
failing as (select record_id, count(*) as times from named group by record_id having times > 1)
select * from failing
