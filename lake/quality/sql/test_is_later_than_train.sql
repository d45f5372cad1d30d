-- Every test row is later than every train row, unless the source gave the split.
-- table: split.records
with
timed as (select record_id, source, split, occurred_at from this where facts['split'] is null),
first_test as (select min(occurred_at) as first from timed where split = 'test'),
failing as (
    select record_id, source, split, occurred_at from timed, first_test
    where split = 'train' and occurred_at >= first
)
select * from failing
