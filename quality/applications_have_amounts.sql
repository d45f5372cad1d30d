-- A loan application has an amount and a term, both above 0.
-- table: clean.records
with
applications as (
    select record_id, source, numbers['amount'] as amount, numbers['term_months'] as months
    from this where source = 'applications'
),
failing as (select * from applications where not coalesce(amount > 0 and months > 0, false))
select * from failing
