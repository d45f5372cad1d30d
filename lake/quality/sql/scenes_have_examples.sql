-- A scene has enough rows in train to learn from, and in test to be measured on.
-- table: split.records
-- severity: warn
-- values: {train_rows: 20, test_rows: 5}
with
scenes as (
    select scene, count(*) filter (split = 'train') as train, count(*) filter (split = 'test') as test
    from this where scene is not null group by scene
),
failing as (select * from scenes where train < $train_rows or test < $test_rows)
select * from failing
