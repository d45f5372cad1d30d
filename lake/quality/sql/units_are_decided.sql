-- Few units of annotation wait for a human.
-- table: annotate.units
-- severity: warn
-- warn_if: > 5 %
with
failing as (
    select record_id, layer, outcome from this where outcome not in ('agreed', 'arbitrated', 'committee', 'source')
)
select * from failing
