-- On each layer, two people annotated the same records, so that agreement can be measured.
-- table: annotate.agreement
-- severity: warn
with
layers as (select layer, sum(units) as units from this group by layer),
failing as (select * from layers where units = 0)
select * from failing
