-- The review queue holds exactly the undecided units.
-- table: annotate.todo
-- lists: decided
with
waiting as (select record_id, layer, outcome from annotate.units where not list_contains($decided, outcome)),
failing as (
    select record_id, layer, reason, outcome from this full join waiting using (record_id, layer)
    where reason is distinct from outcome
)
select * from failing
