-- Texts that differ only in case, spaces and punctuation are in one part.
-- table: split.records
-- severity: warn
with
keys as (
    select record_id, source, split,
        hash(translate(lower(text), ' .,;:!?''"-()' || chr(10) || '，。；：！？、“”‘’（）《》…', '')) as key
    from this
    where text is not null
),
parts as (select key, count(distinct split) as parts from keys group by key having parts > 1),
failing as (select record_id, source, split from keys semi join parts using (key))
select * from failing
