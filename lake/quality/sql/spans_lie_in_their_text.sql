-- A labelled span lies within its record's masked text; a scene has no span.
-- table: annotate.gold
-- needs: mask.records
with
texts as (
    select record_id, length(text) as characters from mask.records
    where record_id in (select record_id from this where layer <> 'scene')
),
failing as (
    select record_id, layer, start, "end" from this left join texts using (record_id)
    where case
        when layer = 'scene' then start is not null or "end" is not null
        else not coalesce(0 <= start and start < "end" and "end" <= characters, false)
    end
)
select * from failing
