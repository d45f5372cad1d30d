-- Few units of annotation are in the review queue.
-- table: annotate.units
-- severity: warn
-- lists: decided
-- warn_if: > 5 %
with
failing as (
    select record_id, layer, outcome from this where not list_contains($decided, outcome)
)
select * from failing
