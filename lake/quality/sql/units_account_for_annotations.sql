-- Every annotation is taken into account in its unit or rejected.
-- table: annotate.units
-- needs: mask.annotations
with
counts as (
    select
        (select count(*) from mask.annotations) as before,
        (select coalesce(sum(annotations), 0) from this) as kept,
        (select count(*) from annotate.rejects) as rejected
),
failing as (select * from counts where before <> kept + rejected)
select * from failing
