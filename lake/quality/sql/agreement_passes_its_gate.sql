-- Annotators agree on each layer as much as its gate asks.
-- table: annotate.agreement
-- severity: warn
with
failing as (select layer, annotators, kappa, gate from this where not passed)
select * from failing
