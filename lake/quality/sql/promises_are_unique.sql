-- The split reports on each guarantee once.
-- table: split.report
with
keys as (select promise, count(*) as rows from this group by all),
failing as (select * from keys where rows > 1 or promise is null)
select * from failing
