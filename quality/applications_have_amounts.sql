-- An application for a loan says how much and for how long, and both are above 0.
-- table: clean.records
with
applications as (
    select record_id, source, numbers['amount'] as amount, numbers['term_months'] as months
    from this where source = 'applications'
),
failing as (select * from applications where not coalesce(amount > 0 and months > 0, false))
select * from failing
