-- After masking, no text, fact, key, label, quote or detail holds an e-mail address, a resident id, a bank card, a
-- phone number or an IP address. A second look, with rules of its own.
-- table: mask.records, mask.annotations, mask.rejects, annotate.gold, annotate.rejects, split.records, split.rejects
-- values: {personal: [email, resident_id, card, phone, ip]}
with
bodies as (
    select record_id, concat_ws(
        chr(10), *columns(lambda name: name in ('text', 'facts', 'source_key', 'label', 'quote', 'detail'))
    ) as body
    from this
),
-- Few texts hold a sign or figures enough to be worth a closer look.
suspects as materialized (
    select record_id, translate(body, '０１２３４５６７８９＠．－　', '0123456789@.- ') as body from bodies
    where regexp_matches(body, '[@＠]|[0-9０-９][0-9０-９ ．－　.()-]{8}|[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]')
),
-- Each number with up to 20 characters before it and a little behind it, which say what it is.
pieces as (
    select record_id, 'run' as shape, unnest(regexp_extract_all(
        body, '[^0-9]{0,20}[0-9]{11,}[Xx]?(?:\.[0-9]|[A-Za-z])?'
    )) as piece from suspects
    union all select record_id, 'groups', unnest(regexp_extract_all(
        body, '[^0-9]{0,20}(?:1[3-9][0-9][ -][0-9]{4}[ -][0-9]{4}|[0-9]{4}(?:[ -][0-9]{4}){3}(?:[ -][0-9]{1,3})?'
        || '|[0-9]{6}[ -][0-9]{8}[ -][0-9]{3}[0-9Xx])(?:\.[0-9])?'
    )) from suspects
    union all select record_id, 'foreign', unnest(regexp_extract_all(
        body, '[^0-9]{0,20}(?:\+ ?[1-9][0-9]?[ (.-]{0,2}[0-9][0-9 ().-]{6,16}[0-9]'
        || '|\(?[2-9][0-9]{2}(?:\) ?|[.-])[2-9][0-9]{2}[.-][0-9]{4})[0-9-]?'
    )) from suspects
    union all select record_id, 'landline', unnest(regexp_extract_all(
        body, '(?i)(?:tel|phone|call|fax|电话|座机|传真|致电|拨打)[^0-9]{0,8}0[1-9][0-9]{1,2}\)?[ -]?[2-8][0-9]{6,7}'
    )) from suspects
),
split as (
    select record_id, shape, regexp_extract(piece, '^[^0-9]*') as before,
        substr(piece, length(regexp_extract(piece, '^[^0-9]*')) + 1) as written
    from pieces
),
numbers as (
    select record_id, shape, before, written, upper(regexp_replace(written, '[^0-9Xx]', '', 'g')) as number,
        -- An order number, an amount, or a part of a code or of a decimal number.
        regexp_matches(
            before,
            '(?i)(?:order|ref|reference|invoice|transaction|case|ticket|tracking|confirmation|complaint'
            || '|订单|单号|流水|编号|交易|参考|合同|凭证|案件|工单|运单|票号|批次)(?:号码?| ?(?:no|nr|number|id))?'
            || '[ :：#._-]{0,4}(?:是|为|is)?[ :：#]{0,3}$'
        )
        or regexp_matches(before, '[¥$€£]$') or before = '.' or regexp_matches(written, '\.[0-9]$')
        or (regexp_matches(before, '[A-Z]$') and not regexp_matches(before, '(?:TEL|PHONE|MOB|QQ|WX|VX|CARD|NO|FAX)$'))
        or (regexp_matches(before, '[a-z]$') and regexp_matches(written, '[A-Za-z]$')) as is_code
    from split
),
judged as (
    select record_id, case
        when regexp_full_match(number, '[1-9][0-9]{16}[0-9X]')
            and try_strptime(substr(number, 7, 8), '%Y%m%d') >= timestamp '1850-01-01'
            -- GB 11643: weights are powers of 2 modulo 11.
            and substr('10X98765432', 1 + list_sum(list_transform(
                range(17), lambda i: substr(number, i + 1, 1)::int * ((1 << (17 - i)) % 11)
            ))::int % 11, 1) = right(number, 1)
            then 'resident_id'
        when not is_code
            -- What UnionPay, Visa, Mastercard, JCB, American Express and Discover issue.
            and regexp_full_match(
                number,
                '62[0-9]{14,17}|4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|5[1-5][0-9]{14}|35[0-9]{14}|3[47][0-9]{13}'
                || '|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}|6(?:011|5[0-9]{2})[0-9]{12}'
            )
            -- Luhn: every second digit from the right counts twice, its digits summed.
            and list_sum(list_transform(range(length(number)), lambda i: case
                when i % 2 = 0 then substr(number, length(number) - i, 1)::int
                else substr('0246813579', substr(number, length(number) - i, 1)::int + 1, 1)::int
            end)) % 10 = 0
            then 'card'
        when not is_code and shape in ('run', 'groups') and regexp_full_match(number, '(?:00)?(?:86)?1[3-9][0-9]{9}')
            then 'phone'
        when not is_code and shape = 'foreign' and length(number) between 10 and 14
            and regexp_matches(written, '[0-9]$') then 'phone'
        when shape = 'landline' then 'phone'
    end as kind
    from numbers
),
others as (
    select record_id, 'email' as kind from suspects
    where regexp_matches(body, '[A-Za-z0-9._%+-]@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}')
    union all
    select record_id, 'ip' from (
        select record_id, unnest(regexp_extract_all(body, '[0-9]+(?:\.[0-9]+)+')) as chain from suspects
    )
    where regexp_full_match(chain || '.', '(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){4}')
),
failing as (
    select record_id, kind, count(*) as "values" from (from judged union all from others)
    where list_contains($personal, kind) group by all
)
select * from failing
