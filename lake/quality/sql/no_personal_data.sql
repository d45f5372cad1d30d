-- After masking, no text, fact, key, business, label, annotator, quote or detail holds personal data. An
-- independent check, with narrower rules, whose findings are certain. In labels, which are names of classes, only what a
-- format or a check digit proves.
-- table: mask.records, mask.annotations, mask.rejects, annotate.gold, annotate.rejects, split.records, split.rejects
-- values: {personal: [url, email, resident_id, credit_code, iban, card, ssn, passport, phone, plate, wechat, qq, ip, address, name]}
with
bodies as (
    select record_id, concat_ws(
        chr(10), *columns(lambda name: name in (
            'text', 'facts', 'source_key', 'business', 'label', 'annotator', 'quote', 'detail'
        ))
    ) as body,
    -- Every table has a record_id; without it no column might remain.
    concat_ws(
        chr(10), *columns(lambda name: name in (
            'record_id', 'text', 'facts', 'source_key', 'business', 'annotator', 'quote', 'detail'
        ))
    ) as prose
    from this
),
-- Only few texts hold a sign or enough digits to be searched further.
suspects as materialized (
    select record_id, translate(body, '０１２３４５６７８９＠．－　①②③④⑤⑥⑦⑧⑨⓪', '0123456789@.- 1234567890') as body,
        translate(prose, '０１２３４５６７８９＠．－　①②③④⑤⑥⑦⑧⑨⓪', '0123456789@.- 1234567890') as prose
    from bodies
    where regexp_matches(
        body, '[@＠]|[0-9０-９①-⑨⓪][0-9０-９①-⑨⓪ ．－　.()-]{8}|[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|://|[0-9A-Z]{15}'
        || '|[零〇一二三四五六七八九幺]{11}|[0-9][0-9-]{6}|微信|QQ|我叫|姓名|[路街道][0-9]|[A-Z]·?[0-9]{5}|(?i:my name is|box [0-9])'
    )
),
-- Each number with up to 20 characters before it and a few after it, which identify its kind.
pieces as (
    select record_id, 'run' as shape, unnest(regexp_extract_all(
        body, '[^0-9]{0,20}[0-9]{11,}[Xx]?(?:\.[0-9]|[A-Za-z])?'
    )) as piece from suspects
    union all select record_id, 'groups', unnest(regexp_extract_all(
        body, '[^0-9]{0,20}(?:1[3-9][0-9][ -][0-9]{4}[ -][0-9]{4}|[0-9]{4}(?:[ -][0-9]{4}){3}(?:[ -][0-9]{1,3})?'
        || '|[0-9]{6}[ -][0-9]{8}[ -][0-9]{3}[0-9Xx])(?:\.[0-9])?'
    )) from suspects
    union all select record_id, 'ssn', unnest(regexp_extract_all(
        body, '[^0-9]{0,20}[0-9]{3}-[0-9]{2}-[0-9]{4}[0-9A-Za-z_-]?'
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
            || '[^\pL\pN\n]{0,4}(?:是|为|is)?[^\pL\pN\n]{0,3}$'
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
            -- Numbers issued by UnionPay, Visa, Mastercard, JCB, American Express and Discover.
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
        -- An area and a group that were issued, and not a number from an advertisement.
        when not is_code and shape = 'ssn' and not regexp_matches(before, '[A-Za-z_-]$')
            and regexp_full_match(
                written,
                '(?:00[1-9]|0[1-9][0-9]|[1-578][0-9]{2}|6[0-57-9][0-9]|66[0-57-9])-(?:0[1-9]|[1-9][0-9])-[0-9]{4}'
            )
            and not regexp_matches(written, '-0000$|078-05-1120|457-55-5462|219-09-9999')
            then 'ssn'
    end as kind
    from numbers
),
-- Codes with check digits: an IBAN is 1 modulo 97 (ISO 13616), a credit code's weights are powers of 3 modulo 31
-- (GB 32100).
written as (
    select record_id, upper(unnest(regexp_extract_all(body, '[A-Za-z0-9]{15,34}'))) as code from suspects
),
codes as (
    select record_id, 'iban' as kind from written
    where regexp_full_match(code, '[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}') and list_reduce(
        list_transform(
            string_split(substr(code, 5) || left(code, 4), ''),
            lambda c: case when c between '0' and '9' then c::bigint else ascii(c) - 55 end
        ),
        lambda rest, number: (rest * case when number > 9 then 100 else 10 end + number) % 97, 0::bigint
    ) = 1
    union all
    select record_id, 'credit_code' from written
    where regexp_full_match(code, '[159][1-9][0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}') and list_sum(list_transform(
        range(1, 19), lambda i: (strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', substr(code, i, 1)) - 1)
            * [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28, 1][i]
    )) % 31 = 0
),
others as (
    select record_id, 'email' as kind from suspects
    where regexp_matches(body, '[A-Za-z0-9._%+-]@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}')
    union all
    select record_id, 'ip' from (
        select record_id, unnest(regexp_extract_all(prose, '[0-9]+(?:\.[0-9]+)+')) as chain from suspects
    )
    where regexp_full_match(chain || '.', '(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){4}')
        and regexp_matches(chain, '(?:^|\.)(?:3[2-9]|[4-9][0-9]|[12][0-9]{2})(?:\.|$)') -- 3.2.1.10 is a section
    union all
    select record_id, 'url' from suspects
    where regexp_matches(body, '://[^\s/@:<]+:[^\s/@]+@')
        or regexp_matches(body, '(?i)://\S*[?&#](?:access_token|api_key|token|password|secret|signature)=[^\s&<#"]{8}')
    union all
    select record_id, 'phone' from (
        select record_id, unnest(regexp_extract_all(body, '[0-9零〇一二三四五六七八九幺两]+')) as run from suspects
    )
    where length(run) = 11 and regexp_matches(run, '[零〇一二三四五六七八九幺]{4}')
        and regexp_full_match(translate(run, '零〇一二三四五六七八九幺', '001234567891'), '1[3-9][0-9]{9}')
    union all
    select record_id, kind from codes
    union all
    select record_id, 'passport' from suspects
    where regexp_matches(body, '(?i)(?:护照|passport)(?:号码?| number| no)?(?:是|为| is)?[:： ]{0,2}[A-Z][0-9]{8}(?:$|[^0-9A-Z])')
    union all
    select record_id, 'plate' from suspects
    where regexp_matches(
        body,
        '[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z]·?[0-9]{5}(?:$|[\n，。、；,;的])'
    )
    union all
    select record_id, 'wechat' from suspects
    where regexp_matches(prose, '微信号(?:是|为)?[:：]?[A-Za-z][A-Za-z0-9_-]{5,19}(?:$|[^A-Za-z0-9_-])')
    union all
    select record_id, 'qq' from suspects
    where regexp_matches(prose, 'QQ(?:号码?)?(?:是|为)?[:：]?[1-9][0-9]{5,10}(?:$|[\n，。、；,;])')
    union all
    select record_id, 'address' from (
        select record_id, unnest(regexp_extract_all(
            prose, '[省市区县]\p{Han}{1,6}(?:路|街|大道)[0-9]{1,5}号(?:$|[^线])|(?i:p\.?o\.? box [0-9]{1,6}(?:$|[^0-9]))'
        )) as place from suspects
    )
    where not regexp_matches(place, '[在到是为我的住址寄送请往去]')
    union all
    select record_id, 'name' from suspects
    where regexp_matches(prose, '(?:我叫|姓名[:：])[王李张刘陈杨赵黄周吴徐孙马朱胡郭林罗郑梁]\p{Han}{1,2}(?:$|[，。,\s])')
        or regexp_matches(prose, '(?i:my name is) [A-Z][a-z]{2,} [A-Z][a-z]{2,}')
            and not regexp_matches(prose, '(?i:my name is) (?:Not|The|All|Sir|Madam|Customer|Team|Manager)')
),
failing as (
    select record_id, kind, count(*) as "values" from (from judged union all from others)
    where list_contains($personal, kind) group by all
)
select * from failing
