-- Few values of a source's field were filled in.
-- table: clean.records
-- severity: warn
-- values: {imputed_share: 0.3}
with
sizes as (select source, count(*) as total from this group by source),
fields as (select source, unnest(imputed) as "column" from this where len(imputed) > 0),
counts as (select source, "column", count(*) as rows from fields group by all),
shares as (select source, "column", rows, round(rows / total, 3) as share from counts join sizes using (source)),
failing as (select * from shares where share > $imputed_share)
select * from failing
