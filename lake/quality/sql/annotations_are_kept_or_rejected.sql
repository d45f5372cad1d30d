-- Mask keeps or rejects every annotation.
-- table: mask.annotations
-- needs: ingest.annotations
with
counts as (
    select
        (select count(*) from ingest.annotations) as before,
        (select count(*) from this) as kept,
        (
            select count(*) from mask.rejects
            where reason = 'record_gone' or regexp_matches(detail, '^(label|annotator): ')
        ) as rejected
),
failing as (select * from counts where before <> kept + rejected)
select * from failing
