-- Agreement is measured once for each layer and number of annotators.
-- table: annotate.agreement
with
keys as (select layer, annotators, count(*) as rows from this group by all),
failing as (select * from keys where rows > 1 or layer is null or annotators is null)
select * from failing
