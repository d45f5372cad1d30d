-- Agreement on each layer reaches its gate.
-- table: annotate.agreement
-- severity: warn
with
failing as (select layer, annotators, kappa, gate from this where not passed)
select * from failing
