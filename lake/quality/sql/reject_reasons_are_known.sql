-- A rejected row names its stage and a reason from that stage's list.
-- table: *.rejects
-- lists: reject_reasons
with
known as (select unnest($reject_reasons, recursive := true)),
named as (select stage, reason, count(*) as rows from this group by all),
failing as (select * from named anti join known using (stage, reason))
select * from failing
