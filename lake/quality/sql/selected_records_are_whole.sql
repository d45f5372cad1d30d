-- A selected record has a text and a label, or a prompt and a target; a run has one of the two forms.
-- table: select@*.records
with
forms as (select record_id, label is not null as labelled, prompt is not null and target is not null as paired from this),
failing as (
    select * from forms
    where labelled = paired or labelled <> (select bool_or(labelled) from forms)
)
select * from failing
