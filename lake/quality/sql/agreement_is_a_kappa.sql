-- An agreement is a kappa between -1 and 1, and passes exactly when it reaches its gate.
-- table: annotate.agreement
with
failing as (
    select layer, annotators, units, kappa, gate, passed from this
    where case
        when kappa is null then units > 0 or passed is not null
        else not (kappa between -1 and 1) or passed is distinct from (kappa >= gate) or annotators < 2
    end
)
select * from failing
