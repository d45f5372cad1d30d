-- Every column of a source is named once, with how it is used.
-- table: ingest.columns
with
columns as (select source, name as "column", count(*) as rows, count(used_as) as used from this group by all),
failing as (select * from columns where rows > 1 or used < rows or source is null or "column" is null)
select * from failing
