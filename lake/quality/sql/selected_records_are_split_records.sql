-- A selected record stands in the split, in the same part and with the same text.
-- table: select@*.records
-- needs: split.records
with
failing as (
    select record_id, this.part, split.split from this left join split.records as split using (record_id)
    where this.part is distinct from split.split or this.text is distinct from split.text
)
select * from failing
