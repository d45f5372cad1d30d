-- A rejected row names its stage and a reason from that stage's list.
-- table: *.rejects
with
known as (
    select stage, unnest(reasons) as reason from (values
        ('ingest', [
            'no_key', 'empty', 'no_time', 'bad_time', 'inexact_number', 'superseded', 'duplicate_key', 'corrupt_row',
            'encrypted', 'broken', 'no_text', 'too_large', 'unsupported', 'no_annotator', 'bad_layer', 'bad_role',
            'unknown_record'
        ]),
        ('clean', ['outlier', 'empty', 'mojibake', 'boilerplate', 'language']),
        ('dedup', ['duplicate']),
        ('mask', ['personal_data', 'record_gone']),
        ('annotate', [
            'unknown_record', 'unknown_layer', 'unknown_role', 'no_annotator', 'quote_not_found', 'repeated',
            'contradictory', 'source_not_trusted', 'human_labelled'
        ]),
        ('split', ['bad_split', 'no_time', 'cluster_crosses_cut', 'text_crosses_cut']),
        ('tokenize', ['no_text', 'no_reply', 'no_class', 'unseen_class', 'too_long', 'no_task'])
    ) as lists(stage, reasons)
),
named as (select stage, reason, count(*) as rows from this group by all),
failing as (select * from named anti join known using (stage, reason))
select * from failing
