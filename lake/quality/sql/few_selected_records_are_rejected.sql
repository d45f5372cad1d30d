-- Few of the records that a training run selects lack a text, a label or a reply.
-- table: select@*.rejects
-- severity: warn
-- values: {rejected_share: 0.2}
with
counts as (select (select count(*) from this) as rejected, (select count(*) from records) as kept),
shares as (select *, round(rejected / (rejected + kept), 3) as share from counts where rejected > 0),
failing as (select * from shares where share > $rejected_share)
select * from failing
