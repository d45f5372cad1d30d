-- Masked values are counted once for each source, language and kind.
-- table: mask.counts
with
keys as (select source, lang, kind, count(*) as rows from this group by all),
failing as (select * from keys where rows > 1 or source is null or lang is null or kind is null)
select * from failing
