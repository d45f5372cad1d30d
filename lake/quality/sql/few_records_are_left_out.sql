-- Few of the records that a training run selects are left out of its samples.
-- table: tokenize@*.rejects
-- severity: warn
-- values: {left_out_share: 0.2}
with
counts as (
    select
        (select count(*) from this) as rejected,
        (select coalesce(sum(len(record_ids)), 0)::bigint from samples) as kept
),
shares as (select *, round(rejected / (rejected + kept), 3) as share from counts where rejected > 0),
failing as (select * from shares where share > $left_out_share)
select * from failing
