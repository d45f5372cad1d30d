"""What personal data look like: recognisers as data, and `find`, which asks all of them.

A compiled pattern proposes, a check in Python decides (check digits, dates, numbering plans, the words before it), so
amounts, order numbers and dates survive. Patterns look at neighbouring digits, never at `\\b`: a Chinese character is
a word character, so there is no word boundary between it and a digit. For the same reason they look at Latin words by
_WORD, never by `\\w` or `\\b`.
"""

import ipaddress
import re
import time
import unicodedata
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import lru_cache
from io import StringIO
from itertools import groupby
from math import prod
from string import ascii_letters
from types import MappingProxyType

import phonenumbers
import regex
from stdnum import iban, luhn
from stdnum.cn import ric, uscc
from stdnum.exceptions import ValidationError
from stdnum.us import ssn

from finelake.text.normalise import HAN

Span = tuple[int, int, str]  # start, end, kind
Ner = Callable[[str], Iterable[Span]]  # a model of the user's own


@dataclass(frozen=True)
class Recogniser:
    """One way in which one kind of personal data is written."""

    kind: str
    gate: re.Pattern  # cheap: where it finds nothing in a text, the pattern is not tried
    pattern: (
        re.Pattern
    )  # of a folded text, in which ： is : and １ is 1; its group `value`, or else the whole match, is what is masked
    check: Callable[[re.Match], bool] = lambda match: True
    before: re.Pattern | None = None  # what must stand right before the match

    def spans(self, text: str) -> Iterator[Span]:
        """What it finds in a folded text."""
        group = "value" if "value" in self.pattern.groupindex else 0
        for match in self.pattern.finditer(text):
            if (self.before is None or self.before.search(_before(match))) and self.check(match):
                yield *match.span(group), self.kind


def find(
    text: str,
    kinds: tuple[str, ...] | None = None,
    ner: Ner | None = None,
    patterns: Mapping[str, str] = MappingProxyType({}),
    tags: re.Pattern | None = None,
) -> list[Span]:
    """Personal data in `text`: sorted (start, end, kind), not overlapping; offsets in characters.

    `kinds`: those wanted of the recognisers (None: all). `patterns`: the user's own kinds and their regular
    expressions. `ner` is called once for a text. What these find beyond the recognisers' spans is theirs.

    The text is searched again without what was found, until nothing is: a value may hide behind the one it touches.
    What `tags` matches is not searched (None: <PHONE> and its like), so that masking a masked text changes nothing.

    SlowPattern where one of `patterns` takes too long.
    """
    folded = text if text.isascii() else text.translate(FOLD)
    search = _Search(folded, kinds, tuple(patterns.items()), tags or _PLAIN_TAGS)
    spans = search.look(0, len(text))
    if ner:
        named = [span for span in ner(text) if kinds is None or span[2] in kinds or span[2] in patterns]
        spans += [piece for span in named for piece in search.claim_rest(span)]
    fresh = spans
    while fresh:
        # A chain of values that touch is followed where it is; the last look is at everything.
        while len(text) > 2 * REACH and fresh:
            fresh = [span for start, end in _around(fresh, len(text)) for span in search.look(start, end)]
            spans += fresh
        fresh = search.look(0, len(text))
        spans += fresh
    return sorted(spans)


REACH = 512  # characters on each side of a find that are searched again
EDGE = 128  # characters at a cut in which nothing is claimed: what stands there is seen in part


def _around(spans: list[Span], length: int) -> Iterator[tuple[int, int]]:
    """The places around `spans`, joined where they meet."""
    areas = sorted((max(0, start - REACH), min(length, end + REACH)) for start, end, _ in spans)
    start, end = areas[0]
    for low, high in areas[1:]:
        if low > end:
            yield start, end
            start = low
        end = max(end, high)
    yield start, end


class SlowPattern(Exception):
    """A user's pattern took more than SECONDS for one text; its argument is the kind."""


class _Search:
    """A folded text and which of its characters are claimed, one byte each."""

    def __init__(
        self, text: str, kinds: tuple[str, ...] | None, patterns: tuple[tuple[str, str], ...], tags: re.Pattern
    ) -> None:
        self.text, self.kinds, self.patterns = text, kinds, patterns
        self.taken, self.claimed = bytearray(len(text)), False
        self.seconds: defaultdict[str, float] = defaultdict(float)  # that the patterns took so far, by kind
        for tag in tags.finditer(text) if "<" in text else ():
            self._take(*tag.span())

    def look(self, start: int, end: int) -> list[Span]:
        """What is found between two places, and claimed."""
        view, begins, places = self._view(start, end)
        seen = _recognised(view, self.kinds)
        if not seen and not self.patterns:
            return []
        low = start + EDGE if start else 0
        high = end - EDGE if end < len(self.text) else end

        def placed(span: Span) -> Span:
            first, last = (bisect_right(begins, at) - 1 for at in (span[0], span[1] - 1))
            return places[first] + span[0] - begins[first], places[last] + span[1] - begins[last], span[2]

        def within(spans: Iterable[Span]) -> Iterator[Span]:
            placed_spans = (placed(span) for span in spans if span[0] < span[1])
            return (span for span in placed_spans if low <= span[0] and span[1] <= high)

        # Of two recognisers whose finds overlap the first has it; a find around a claimed value has what is left.
        recognised = [list(self._free(span)) for span in within(seen)]
        found = [piece for pieces in recognised for piece in pieces if self._claim(piece)]
        own = within(_matched(view, self.patterns, self.seconds))
        return found + [piece for span in own for piece in self.claim_rest(span)]

    def claim_rest(self, span: Span) -> list[Span]:
        """Claim what of `span` nothing has claimed yet."""
        return [piece for piece in self._free(span) if self._claim(piece)]

    def _view(self, start: int, end: int) -> tuple[str, list[int], list[int]]:
        """The text between two places with TAKEN for each run of claimed characters, and where its pieces are there
        and in the text."""
        if not self.claimed:
            return self.text[start:end], [0], [start]
        pieces, begins, places, length = [], [], [], 0
        for run in _RUNS.finditer(self.taken, start, end):
            piece = TAKEN if self.taken[run.start()] else self.text[run.start() : run.end()]
            pieces.append(piece)
            begins.append(length)
            places.append(run.start())
            length += len(piece)
        return "".join(pieces), begins, places

    def _free(self, span: Span) -> Iterator[Span]:
        """The pieces of `span` that are not claimed; of several, those with a letter or digit and without the space
        around them."""
        start, end, kind = max(span[0], 0), span[1], span[2]
        if 1 not in self.taken[start:end]:
            yield start, end, kind
            return
        for run in _FREE.finditer(self.taken, start, end):
            piece = self.text[run.start() : run.end()]
            first = run.start() + len(piece) - len(piece.lstrip())
            if re.search(r"\w", piece):
                yield first, first + len(piece.strip()), kind

    def _claim(self, span: Span) -> bool:
        """Claim a span's characters; False where one is claimed already."""
        start, end, _ = span
        if start >= end or 1 in self.taken[start:end]:
            return False
        self._take(start, end)
        return True

    def _take(self, start: int, end: int) -> None:
        self.taken[start:end] = b"\1" * (end - start)
        self.claimed = True


_RUNS = re.compile(rb"\x00+|\x01+")
_FREE = re.compile(rb"\x00+")


def _recognised(folded: str, kinds: tuple[str, ...] | None) -> list[Span]:
    spoken = folded if folded.isascii() else _RUN.sub(_read_out, folded)
    spans: list[Span] = []
    for gate, recognisers in _by_gate(kinds):
        views = (folded, spoken) if gate is _NUMBER and spoken != folded else (folded,)
        spans += [span for view in views if gate.search(view) for one in recognisers for span in one.spans(view)]
    return spans


@lru_cache
def _by_gate(kinds: tuple[str, ...] | None) -> list[tuple[re.Pattern, list[Recogniser]]]:
    wanted = [one for one in RECOGNISERS if kinds is None or one.kind in kinds]
    return [(gate, list(group)) for gate, group in groupby(wanted, key=lambda one: one.gate)]


# --- patterns of the user's own --------------------------------------------------------------------------------------


@lru_cache
def compiled(pattern: str) -> regex.Pattern:
    """A user's regular expression. ValueError says what is wrong with it."""
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"has {len(pattern)} characters; {LONGEST_PATTERN} are allowed")
    if prod(max(1, int(count)) for count in re.findall(r"(?<=[{,])\d{1,12}(?=[,}])", pattern)) > MOST_REPEATED:
        raise ValueError(f"has counts whose product is above {MOST_REPEATED:,}: compiled, it takes too much memory")
    try:
        found = regex.compile(pattern)
        unbounded = _unbounded(pattern)
        empty = found.search("", timeout=SECONDS)
    except (regex.error, ValueError, OverflowError, RecursionError, MemoryError, TimeoutError) as error:
        raise ValueError(f"is not a regular expression ({error})") from None
    if unbounded:
        raise ValueError(f"{unbounded}, whose time and memory have no bound; write it without")
    if empty:
        raise ValueError("matches the empty text; let it ask for at least one character")
    return found


def _unbounded(pattern: str) -> str | None:
    """What in a pattern can take any time and memory: regex shows the parts of a pattern that it compiles."""
    with redirect_stdout(StringIO()) as parts:
        regex.compile(pattern, regex.DEBUG)
    names = set(re.findall(r"^ *([A-Z_]+)", parts.getvalue(), re.MULTILINE))
    if "FUZZY" in names:
        return "has fuzzy matching, such as {e<=1} (a brace of the text is written \\{)"
    return "calls itself or a group, such as (?R), (?1) or (?&name)" if "GROUP_CALL" in names else None


LONGEST_PATTERN = 1000  # characters
MOST_REPEATED = 1_000_000  # (a{1000}){1000} is written out when it is compiled
SECONDS = 10  # of processor time that a pattern may take for a text


def _matched(folded: str, patterns: tuple[tuple[str, str], ...], seconds: defaultdict[str, float]) -> Iterator[Span]:
    """What the user's patterns find: their group `value`, or else the whole match. `seconds`: by kind, counted on."""
    for kind, pattern in patterns:
        one = compiled(pattern)
        group = "value" if "value" in one.groupindex else 0
        try:
            for match in _timed(one, folded, kind, seconds):
                # The words before `value` speak of what follows them, not of what follows the next masked value.
                if TAKEN not in folded[match.start() : match.start(group)]:
                    yield *match.span(group), kind
        except TimeoutError:
            raise SlowPattern(kind) from None


def _timed(one: regex.Pattern, folded: str, kind: str, seconds: defaultdict[str, float]) -> Iterator[regex.Match]:
    """The matches of a pattern. TimeoutError where it has taken SECONDS: the limit of regex is for each match."""
    matches = one.finditer(folded, timeout=max(SECONDS - seconds[kind], 0.001))
    while True:
        started = time.process_time()
        match = next(matches, None)
        seconds[kind] += time.process_time() - started
        if seconds[kind] > SECONDS:
            raise TimeoutError
        if match is None:
            return
        yield match


# --- numerals in other dress -----------------------------------------------------------------------------------------

# Stands for a claimed value: no letter, digit or space. It is a noncharacter, which texts do not have.
TAKEN = "\ufdd0"

# One character becomes one character, so that offsets hold. Superscripts stay: a footnote is no digit of its number.
FOLD = {
    code: ord("0") + digit
    for code in (*range(0x660, 0x2070), *range(0x20A0, 0x2800), *range(0x1D7CE, 0x1D800))
    if (digit := unicodedata.digit(chr(code), -1)) >= 0
}
FOLD |= {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
FOLD |= dict.fromkeys(map(ord, "‐‑‒–—−"), ord("-")) | dict.fromkeys(
    map(ord, f"\u3000\xa0\u2009\u202f{TAKEN}"), ord(" ")
)

# 一三八… is read as digits in a second look, and in long runs alone: 一 is a word too, as in 周一13812345678.
_HAN_DIGITS = "零〇○一二三四五六七八九幺两壹贰叁肆伍陆柒捌玖"
_SPOKEN = str.maketrans(_HAN_DIGITS, "00012345678912123456789")
_RUN = re.compile(f"[0-9{_HAN_DIGITS}](?:[ -]?[0-9{_HAN_DIGITS}]){{10,63}}")
LEAST = 4  # Chinese digits in a run that is read so


def _read_out(run: re.Match) -> str:
    read = run.group().translate(_SPOKEN)
    return read if sum(map(str.__ne__, read, run.group())) >= LEAST else run.group()


def canonical(kind: str, value: str) -> str:
    """What two ways to write one value share: +86 138-1234-5678 and 一三八… are one phone."""
    value = value.translate(FOLD).casefold()
    if kind in ("email", "url", "wechat", "ip"):
        return value
    if kind in ("phone", "card", "resident_id"):
        value = value.translate(_SPOKEN)
    bare = re.sub(r"[\W_]", "", value)
    return re.sub("^(?:00)?86(?=1[3-9][0-9]{9}\\Z)", "", bare) if kind == "phone" else bare


# --- gates -----------------------------------------------------------------------------------------------------------

# Alternatives that begin with plain characters are skipped through at a few nanoseconds a character.
_AT = re.compile("@")
_LINK = re.compile("://")
_NUMBER = re.compile(r"(?:\d\D{0,3}){6}\d")
_WRAPPED = re.compile(r"\n(?:(?<=\d\n)|(?<=\d-\n))\d")
_DOTS = re.compile(r"\d\.\d+\.\d+\.\d|[0-9A-Fa-f]:[0-9A-Fa-f:]*:")
_PLATES = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼] ?[A-Za-z][·•. -]?[0-9A-Za-z]{5}"
)
_CHATS = re.compile(
    "微信|薇信|威信|V信|v信|扣扣|企鹅号|Q号|q号|QQ|Qq|qq|WeChat|Wechat|weChat|wechat|WECHAT|Weixin|weixin|WX|Wx|wx|VX|Vx|vx"
)
_PLACES = re.compile("[号弄栋幢]|地址|住址|邮编|邮政")
_EN_STREETS = (
    "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Terrace|Circle|Cir|Highway|Hwy"
    "|Parkway|Pkwy|Square|Sq|Trail|Trl"
)
_STREETS = re.compile(f"{_EN_STREETS}|Apt|Suite|Unit|Ste|Box|BOX|box|Zip|ZIP|zip|Post|POST|post")
_NAMED = re.compile(
    "先生|女士|小姐|太太|阿姨|老师|师傅|大爷|大妈|叫|姓名|名字|件人|货人|系人|卡人|户人|请人|诉人|办人|款人|户名|代表人|署名|签名"
    "|Mr|Ms|Mx|Miss|Dr|Prof|Dear|name|Name|NAME|holder|Holder|HOLDER|ustomer|USTOMER|eneficiary|ecipient|illing|egards"
    "|EGARDS|incerely|am called"
)

# --- Latin words -----------------------------------------------------------------------------------------------------

# Letters, digits and _ that make one word with a Latin word or number beside them; Chinese beside it does not.
_WORD = "A-Za-z0-9_À-ɏ"
_START = f"(?<![{_WORD}])"

# --- the words before ------------------------------------------------------------------------------------------------

_ORDER = re.compile(
    r"(?:订单|单号|流水|编号|交易号|参考号|合同号|凭证|案件|工单|运单|票号|批次"
    rf"|{_START}(?:order|ref|reference|invoice|transaction|case|ticket|tracking|confirmation|complaint))"
    r"\s?(?:号码?|no|nr|number|id)?[^\w]{0,4}(?:是|为|is)?[^\w]{0,3}\Z",
    re.IGNORECASE,
)
_CARD_CONTEXT = re.compile(rf"(?:卡号?|账号|{_START}(?:card|cc)|visa|mastercard)[^\d]{{0,20}}\Z", re.IGNORECASE)
_PHONE_CONTEXT = re.compile(
    rf"(?:phone|mobile|whatsapp|{_START}(?:cell|tel|fax|desk)"
    rf"|{_START}(?:call|text|reach|ring)(?:ed|ing)? (?:\w+ )?(?:on|at|back)"
    r"|answering at|messages? (?:to|on|at))[^\d]{0,12}\Z"
    r"|(?:手机|电话|座机|传真|联系方式|致电|拨打)(?:号码?)?[是为]?[^\w]{0,4}\Z",
    re.IGNORECASE,
)
_PASSPORT_CONTEXT = re.compile(
    rf"(?:护照|通行证|{_START}passport)(?:号码?| ?(?:no|nr|number|id))?[^\w]{{0,3}}(?:[是为]|is)?[^\w]{{0,3}}\Z",
    re.IGNORECASE,
)
_SSN_CONTEXT = re.compile(
    rf"(?:{_START}(?:ssn|social security|social)|社会安全号码?|社会保障号码?|社安号码?)"
    r"(?: ?(?:no|nr|number))?[^\w]{0,3}(?:[是为]|is)?[^\w]{0,3}\Z",
    re.IGNORECASE,
)
# Also with the hour of a time behind it.
_DATE = re.compile(
    r"(?:(?:19|20)\d\d[-. ]\d{1,2}[-. ]\d{1,2}|\d{1,2}[-. ]\d{1,2}[-. ](?:19|20)?\d\d|(?:19|20)\d{6})(?: \d{1,2})?"
)
_AMOUNT = re.compile(r" ?(?:元|块|万|美元|人民币|%|dollars|usd|rmb|cny)", re.IGNORECASE)
_BREAK = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_LABEL = re.compile(r"(?:card|cc|no|visa|tel|phone|mobile|cell|call|fax|whatsapp|wechat|vx|wx|qq|mob)\Z", re.IGNORECASE)


def _before(match: re.Match, width: int = 40) -> str:
    """What stands before a match, from the last masked value on."""
    return match.string[max(0, match.start() - width) : match.start()].rpartition(TAKEN)[2]


def _line_before(match: re.Match) -> str:
    """What stands before a match in its own line: a word in the line above does not make a number a code."""
    return _BREAK.split(_before(match))[-1]


def _after(match: re.Match, width: int = 10) -> str:
    return match.string[match.end() : match.end() + width]


def _is_order(match: re.Match) -> bool:
    """Behind a word for an order."""
    return bool(_ORDER.search(_line_before(match)))


def _is_code(match: re.Match) -> bool:
    """Behind a word for an order, or inside a code of letters and digits such as TX138… or a hash.

    More than PREFIX capitals are a word that lost the space behind it, as in <b>URGENT</b>138…, and X stands for
    redacted characters.
    """
    if _is_order(match):
        return True
    letters = _letters_before(match)
    if not letters or _LABEL.search(letters):
        return False
    return _is_in_letters(match) or letters.isupper() and len(letters) <= PREFIX and {*letters} != {"X"}


PREFIX = 4  # capitals of a code, as TX, SN or ORD


def _letters_before(match: re.Match) -> str:
    before = _before(match)
    return before[len(before.rstrip(ascii_letters)) :]


def _is_in_letters(match: re.Match) -> bool:
    """Letters on both sides, as in a hash."""
    return bool(_letters_before(match) and re.match("[A-Za-z]", _after(match)))


# --- checks ----------------------------------------------------------------------------------------------------------


def _digits(match: re.Match) -> str:
    return "".join(filter(str.isdigit, match.group()))


def _resident_id(match: re.Match) -> bool:
    """18 characters, GB 11643 check digit, a real birth date since 1850. Districts come and go: not checked."""
    number = re.sub(r"[ -]", "", match.group()).upper()
    try:
        return number[-1] == ric.calc_check_digit(number) and 1850 <= ric.get_birth_date(number).year <= 2100
    except ValidationError:
        return False


def _credit_code(match: re.Match) -> bool:
    """18 characters of a registered body, GB 32100 check digit."""
    return uscc.is_valid(match.group())


def _iban(match: re.Match) -> bool:
    """ISO 13616: two check digits over the rest."""
    return iban.is_valid(match.group(), check_country=False)


# First digits and lengths that card networks issue (ISO/IEC 7812): UnionPay, Visa, Mastercard, Discover, Maestro, JCB,
# American Express, Diners. 19 and 20 lead no card: most long numbers that begin with a year are no cards.
_BRAND = re.compile(
    r"62\d{14,17}|4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12,15}|35\d{14,17}|(?:2131|1800)\d{11}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11,13}"
    r"|(?:5[06-9]|6[0-9]|9[0-9])\d{14,17}"
)


def _card(match: re.Match) -> bool:
    number = _digits(match)
    if not luhn.is_valid(number) or _is_order(match) or _is_in_hash(match):
        return False
    # What a network issues is proven by its digits, whatever capitals stand before it.
    return bool(_BRAND.fullmatch(number)) or bool(_CARD_CONTEXT.search(_before(match))) and not _is_code(match)


def _is_in_hash(match: re.Match) -> bool:
    return _is_in_letters(match) and not _LABEL.search(_letters_before(match))


def _wrapped_card(match: re.Match) -> bool:
    """Over two lines: groups with one line break among them, of a number that a network issues."""
    return match.group().count("\n") == 1 and bool(_BRAND.fullmatch(_digits(match))) and _card(match)


def _ssn(match: re.Match) -> bool:
    return ssn.is_valid(_digits(match)) and not _is_order(match)


def _mobile(match: re.Match) -> bool:
    return not _is_code(match)


def _wrapped_mobile(match: re.Match) -> bool:
    """Over two lines, behind a word for telephone: two numbers in two lines may look the same."""
    return match.group().count("\n") == 1 and len(_digits(match)) == 11 and not _is_code(match)


def _landline(match: re.Match) -> bool:
    """With a separator or after a word for telephone, and a number that the numbering plan knows."""
    marked = not match.group().isdigit() or bool(_PHONE_CONTEXT.search(_before(match)))
    return marked and not _is_order(match) and _valid(match.group(), "CN")


def _international(match: re.Match) -> bool:
    return not _is_code(match) and _valid("+" + _digits(match).removeprefix("00"), None, possible=True)


def _valid(number: str, region: str | None, possible: bool = False) -> bool:
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_possible_number(parsed) if possible else phonenumbers.is_valid_number(parsed)


def _told_phone(match: re.Match) -> bool:
    """7 to 15 digits right behind a word for telephone, or right before one; not a date."""
    if _DATE.fullmatch(match.group()) or _is_order(match) or _AMOUNT.match(_after(match)):
        return False
    told = re.match(r"[ -](?:office|fax|mobile|cell|home)", _after(match), re.IGNORECASE)
    return bool(told or _PHONE_CONTEXT.search(_before(match)))


def _plate(match: re.Match) -> bool:
    """GA 36: at most two letters among the last five, none of them I or O."""
    return sum(map(str.isdigit, match["serial"])) >= 3 and not _AMOUNT.match(_after(match))


def _wechat(match: re.Match) -> bool:
    """An id that is no word: called an id, behind 微信 and a colon, or with a digit or a line in it."""
    told = re.search(r"号|id|信\W*:", match["label"], re.IGNORECASE)
    return bool(told or re.search(r"[\d_-]", match["value"]))


def _qq(match: re.Match) -> bool:
    return not _AMOUNT.match(_after(match)) and not re.match("[年月]", _after(match))


_IP_CONTEXT = re.compile(rf"(?:{_START}ip|address|地址)[^\w]{{0,3}}(?:is|[是为])?[^\w]{{0,3}}\Z", re.IGNORECASE)


def _ip(match: re.Match) -> bool:
    """An address, not a section such as 3.2.1.10: one of its numbers is large, or a word says so."""
    try:
        address = ipaddress.ip_address(match.group())
    except ValueError:
        return False
    if address.version == 6:
        return sum(map(str.isalnum, match.group())) > 3
    return max(address.packed) >= 32 or bool(_IP_CONTEXT.search(_before(match)))


# --- names and addresses: words, not proof ---------------------------------------------------------------------------

# The commonest family names; those that are also function words (和, 于, 时, 从, 向) are left out.
_FAMILY = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆"
    "范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵覃武钱戴严莫孔汤温康施牛樊葛邢齐易乔庞颜倪庄聂"
    "章鲁岳翟申欧耿关兰焦俞左柳甘祝包代霍冉涂洪尚梅季翁裴詹柯桂殷俎舒屈路裘卞苗翦"
)
_DOUBLE_FAMILY = "欧阳|司马|上官|诸葛|慕容|司徒|令狐|皇甫|尉迟|公孙|夏侯|东方|南宫|独孤|端木"
_ZH_FAMILY = f"(?:{_DOUBLE_FAMILY}|[{_FAMILY}])"
_ZH_TITLES = "先生|女士|小姐|太太|阿姨|老师|师傅|大爷|大妈"
_ZH_NO_NAME = {"任何", "高级", "高龄", "高中", "白人", "白领", "金发", "黄金", "石油", "方便", "安保", "康复"}
_ZH_LABELS = (
    "(?:我|本人|他|她|客户|名)叫|(?:我的)?名字[是叫]|姓名|(?:收件|收货|联系|持卡|开户|申请|投诉|经办|借款|紧急联系)人(?:姓名)?"
    "|户名|法定代表人|署名|签名"
)
# Behind a name: the end of a clause, or a word that begins the next one.
_ZH_END = f"(?=[^{HAN}]|\\Z|我|的|在|是|电话|手机|身份|住|想|要|来|今|地址|卡|账|有|和|与|先生|女士)"

_EN_WORD = "(?!I\\b)[A-ZÀ-ÖØ-ÞĀ-ſΆ-ΩЀ-Я](?:[A-Za-zÀ-ſΆ-ώЀ-џ]|['’-][A-Za-zÀ-ſ])*"
_EN_NAME = (
    rf"(?P<value>{_EN_WORD}(?:(?: |(?<=[ .][A-Z])\. )(?:(?:de|da|do|dos|van|von|der|la|al|bin) )?{_EN_WORD}){{0,3}})"
)
_EN_TITLES = r"(?:Mrs?|Ms|Miss|Mx|Dr|Prof(?:essor)?)"
_EN_LABELS = (
    rf"(?i:{_START}(?:(?:my|his|her|their) (?:full |first |last |maiden |family |sur)?name(?: is|'s|’s)|i am called)"
    rf"|{_START}(?:(?:card|account) ?holder|customer|beneficiary|recipient|full|first|last|billing)(?: name)?\s?:"
    r"|(?<!account )(?<!creditor )(?<!company )(?<!product )(?<!bank )(?<!file )"
    rf"{_START}name\s?:|{_START}(?:regards|sincerely),?)"
)
_EN_NOBODY = {
    "Sir", "Sirs", "Madam", "Customer", "Team", "All", "Manager", "Client", "Member", "Valued", "Support", "Service",
    "The", "Not", "On", "To", "Colleague", "Colleagues", "Friend", "Bank", "Hiring", "Mr", "Mrs", "Ms", "Dr",
    "Under", "First",
}  # fmt: skip
_EN_ROLES = {"Chair", "Chairman", "Chairwoman", "President", "Speaker", "Secretary", "Governor", "Minister", "Director"}
_EN_OFFICES = {
    "Team", "Bureau", "Support", "Department", "Service", "Services", "Agency", "Company", "Bank", "Relations",
    "Assistance",
}  # fmt: skip

_PROVINCES = (
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南"
    "|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)
# No character that tells where somebody is or what is sent there: 住在北京市… begins at 北京.
_ZH_PLACE = f"(?![在到是为我的住址寄送请往去])[{HAN}]"
_ZH_NUMBER = r"\s?[\d一二三四五六七八九十百]{1,5}(?:-\d{1,4})?"
_ZH_UNIT = r"(?:号院|号楼|号|弄|栋|幢|座|单元|楼|层|室|户)"
_ZH_ROAD = (
    rf"(?:路|街|大道|巷|胡同|弄|村|小区|花园|公寓|大厦|苑){_ZH_NUMBER}{_ZH_UNIT}(?!线)"
    rf"(?:(?:{_ZH_PLACE}){{0,8}}?{_ZH_NUMBER}{_ZH_UNIT})*(?:\d{{3,4}}(?!\d))?"
)
_EN_ROOM = r"(?:Apt|Suite|Unit|Ste)\.? ?#?\d{1,5}[A-Z]?(?![A-Za-z0-9_])"


def _zh_name(match: re.Match) -> bool:
    return match["value"] not in _ZH_NO_NAME and not re.search("[的与被和是在括把给对向让]", match["value"])


def _en_name(match: re.Match) -> bool:
    """No greeting of nobody, no role alone (Mr. Chairman), no office, no letters for an office (CFPB), and not what
    somebody has blackened already (XXXX XXXX)."""
    words = match["value"].split()
    return not (
        words[0] in _EN_NOBODY
        or (len(words) == 1 and words[0] in _EN_ROLES)
        or words[-1] in _EN_OFFICES
        or re.fullmatch("[B-DF-HJ-NP-TV-XZ]{3,}", match["value"])
        or any({*word} == {"X"} for word in words)
    )


def _zh_address(match: re.Match) -> bool:
    """What stands behind 地址: must name a place or a number."""
    return bool(re.search(rf"\d|{_PROVINCES}|[省市区县镇乡村路街巷]", match["value"]))


# --- the recognisers -------------------------------------------------------------------------------------------------

# Names of query fields whose values open something (RFC 6750 access_token, presigned URLs, sessions).
_SECRETS = (
    r"(?:access_?|refresh_?|id_?|auth_?|csrf_?)?token|api_?key|secret|client_secret|pass(?:word|wd)?|pwd|sig(?:nature)?"
    r"|auth|session(?:_?id)?|sid|jwt|ticket|x-amz-(?:signature|credential|security-token)"
)
_MOBILE = (
    r"1[3-9](?:\d{9}|\d[ .-]\d{4}[ .-]\d{4}|\d[ -]\d{3}[ -]\d{5}|\d{2}[ -]\d{3}[ -]\d{4}|\d[ -]\d{8}|\d{5}[ -]\d{4})"
    r"|1[ -][3-9](?:[ -]\d){9}"
)

# The ends of mail domains: Latin, encoded, Cyrillic, and the Chinese ones by name, since sentences go on in Chinese.
_TOP = (
    r"(?:xn--[A-Za-z0-9-]{2,59}|[A-Za-z]{2,24}|[Ѐ-ӿ]{2,10}"
    "|中国|中國|公司|网络|網絡|网址|在线|集团|政务|公益|香港|台湾|台灣)"
)
# Numbers in groups over two lines, as in the text of a PDF: a space or hyphen, or the end of a line.
_BREAK_OR_GAP = r"(?:[ -]|-?\n)"
_WRAPPED_CARD = rf"(?<!\d)(?<!\d[ -])\d{{4}}(?:{_BREAK_OR_GAP}\d{{4}}){{3}}"


def _of(kind: str, gate: re.Pattern, pattern: str, *how: Callable[[re.Match], bool] | re.Pattern) -> Recogniser:
    """A recogniser with a check, with words that must stand before it, with both or neither."""
    given: dict = {"before" if isinstance(one, re.Pattern) else "check": one for one in how}
    return Recogniser(kind, gate, re.compile(pattern), **given)


# The most specific first: where two overlap, the first stays.
RECOGNISERS = (
    _of("url", _LINK, r"(?<=://)(?P<value>[^\s/@:?#]{1,64}:[^\s/@]{1,256})(?=@)"),
    _of(
        "url",
        _LINK,
        rf"(?i:://[^\s?#]{{1,500}}[?#](?:[^\s#]{{0,500}}?&)?(?:{_SECRETS})=)(?P<value>[^\s&#\"'<>，。）{HAN}]{{4,4096}})",
    ),
    _of(
        "email",
        _AT,
        # Right behind @ a label may mix scripts; later ones do not, so that a sentence behind an address stays.
        rf"[{_WORD}Ѐ-ӿ.%+-]{{1,64}}@[\w-]{{1,63}}\.(?:(?:[A-Za-z0-9À-ɏ-]{{1,63}}|[^\W\d_A-Za-z]{{1,63}})\.){{0,7}}{_TOP}",
    ),
    # Before the others of its kinds, which would find a part of it.
    _of("card", _WRAPPED, rf"{_WRAPPED_CARD}{_BREAK_OR_GAP}\d{{1,3}}(?![ -]?\d)", _wrapped_card),
    _of("card", _WRAPPED, rf"{_WRAPPED_CARD}(?![ -]?\d)", _wrapped_card),
    _of(
        "card",
        _WRAPPED,
        rf"(?<!\d)(?<!\d[ -])\d{{4}}{_BREAK_OR_GAP}\d{{6}}{_BREAK_OR_GAP}\d{{4,5}}(?![ -]?\d)",
        _wrapped_card,
    ),
    _of("card", _WRAPPED, r"(?<!\d)(?=[\d\n]{14,20}(?!\d))\d{1,18}\n\d{1,18}(?!\d)", _wrapped_card, _CARD_CONTEXT),
    _of(
        "phone",
        _WRAPPED,
        r"(?<!\d)(?<!\d[ -])(?:\+?86[ -]?)?1[3-9]\d(?:[ -]\d{4}-?\n|-?\n\d{4}[ -])\d{4}(?![ -]?\d)(?!\.\d)",
        _mobile,
    ),
    _of("phone", _WRAPPED, r"(?<!\d)1(?=[\d\n]{11}(?!\d))\n?[3-9]\d*\n?\d+(?!\d)", _wrapped_mobile, _PHONE_CONTEXT),
    _of("resident_id", _NUMBER, r"(?<!\d)\d{6}[ -]?\d{4}[ -]?\d{2}[ -]?\d{2}[ -]?\d{3}[ -]?[\dXx](?!\d)", _resident_id),
    _of("credit_code", _NUMBER, r"(?<![A-Za-z0-9])[159][1-9]\d{6}[0-9A-HJ-NPQRTUWXY]{10}(?![A-Za-z0-9])", _credit_code),
    _of("iban", _NUMBER, r"(?i:(?<![a-z0-9])[a-z]{2}\d{2}[a-z0-9]{11,30}(?![a-z0-9]))", _iban),
    _of(
        "iban", _NUMBER, r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?(?![A-Za-z0-9])", _iban
    ),
    _of("card", _NUMBER, r"(?<!\d)(?<!\d\.)\d{12,19}(?!\d)(?!\.\d)", _card),
    _of("card", _NUMBER, r"(?<!\d)\d{4}([ -])\d{4}\1\d{4}\1\d{4}\1\d{1,3}(?!\d)", _card),
    _of("card", _NUMBER, r"(?<!\d)\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?!\d)", _card),
    _of("card", _NUMBER, r"(?<!\d)(?:\d{4}[ -]\d{6}[ -]\d{4,5}|\d{6}[ -]\d{10,13})(?!\d)", _card),
    _of("ssn", _NUMBER, rf"(?<![{_WORD}-])\d{{3}}-\d{{2}}-\d{{4}}(?![{_WORD}-])", _ssn),
    _of("ssn", _NUMBER, r"(?<!\d)\d{3} ?\d{2} ?\d{4}(?!\d)", _ssn, _SSN_CONTEXT),
    _of("passport", _NUMBER, r"(?<![A-Za-z0-9])(?:[A-Za-z]{1,2}\d{7,8}|\d{9})(?![A-Za-z0-9])", _PASSPORT_CONTEXT),
    _of(
        "phone",
        _NUMBER,
        rf"(?<!\d)(?<!\d\.)(?<![¥$€£])(?:(?:\+|00)?86[ -]?|\(\+?86\) ?)?(?:{_MOBILE})(?!\d)(?!\.\d)",
        _mobile,
    ),
    _of("phone", _NUMBER, r"(?<!\d)\(?0(?:10|2\d|[3-9]\d{2})\)?[ -]?[2-8]\d{2,3}[ -]?\d{4}(?!\d)", _landline),
    _of("phone", _NUMBER, r"(?<![\d+])(?:\+ ?|00)[1-9](?:[ .()/-]{0,2}\d){6,14}(?!\d)", _international),
    _of(
        "phone",
        _NUMBER,
        r"(?<![\d.-])(?:\+?1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[.-])[2-9]\d\d[.-]\d{4}"
        r"(?:(?: ?x| ext\.? )\d{1,5})?(?![\d-])",
    ),
    _of("phone", _NUMBER, rf"(?<![{_WORD}.,¥$€£])\(?\d(?:[ .()-]{{0,2}}\d){{6,14}}(?![{_WORD}]|[.,]\d)", _told_phone),
    _of(
        "plate",
        _PLATES,
        r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼] ?[A-HJ-NP-Za-hj-np-z][·•. -]?"
        r"(?P<serial>[A-HJ-NP-Za-hj-np-z0-9]{5,6}|[A-HJ-NP-Z0-9]{4}[挂学警港澳])(?![A-Za-z0-9])",
        _plate,
    ),
    _of(
        "wechat",
        _CHATS,
        r"(?P<label>(?:(?:微信|薇信|威信|[Vv]信)(?:号码?)?|(?<![A-Za-z])(?i:wechat|weixin|wx|vx)(?: ?(?i:id)|号)?)"
        rf"[^\w<{TAKEN}]{{0,3}}(?:是|为|is )?[^\w<{TAKEN}]{{0,2}})"
        r"(?P<value>[A-Za-z][A-Za-z0-9_-]{5,19})(?![A-Za-z0-9_-])",
        _wechat,
    ),
    _of(
        "qq",
        _CHATS,
        r"(?:(?<![A-Za-z@])[Qq]{2}|扣扣|企鹅号|[Qq]号|微信)(?:号码?|群)?"
        rf"[^\w<{TAKEN}]{{0,3}}(?:是|为|is )?[^\w<{TAKEN}]{{0,2}}"
        r"(?P<value>[1-9]\d{4,10})(?!\d)(?!\.\d)",
        _qq,
    ),
    _of("ip", _DOTS, r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\d)", _ip),
    _of("ip", _DOTS, rf"(?<![{_WORD}:.])(?:[0-9A-Fa-f]{{0,4}}:){{2,7}}[0-9A-Fa-f]{{0,4}}(?![{_WORD}:])", _ip),
    _of("address", _PLACES, rf"(?:{_PROVINCES})(?:{_ZH_PLACE}){{1,24}}?{_ZH_ROAD}"),
    _of("address", _PLACES, rf"(?:{_ZH_PLACE}){{1,8}}?{_ZH_ROAD}"),
    _of(
        "address",
        _PLACES,
        r"[地住]址(?:(?:是|为):?|:)\s?(?P<value>[^\s。,;!?]{5,40})",
        _zh_address,
    ),
    _of("address", _PLACES, r"(?:邮编|邮政编码)(?:是|为)?:?\s?(?P<value>\d{6})(?!\d)"),
    _of(
        "address",
        _STREETS,
        rf"(?<![{_WORD}.,$])\d{{1,6}} (?:[NSEW]\.? )?(?:[A-Z][\w'’-]*\.? ){{1,4}}(?:{_EN_STREETS})(?![A-Za-z])\.?"
        rf"(?:,?\s{{1,3}}{_EN_ROOM})?"
        r"(?:,?\s{1,3}[A-Z][\w'’-]+(?: [A-Z][\w'’-]+){0,2},?\s{1,3}[A-Z]{2}(?:,?\s{1,3}\d{5}(?:-\d{4})?(?!\d))?)?",
    ),
    _of("address", _STREETS, rf"{_START}{_EN_ROOM}"),
    _of("address", _STREETS, rf"(?i:{_START}(?:p\.? ?o\.? ?box \d{{1,6}}|psc \d{{1,4}},? box \d{{1,6}})(?!\d))"),
    _of(
        "address",
        _STREETS,
        rf"(?i:{_START}(?:zip(?: ?code)?|post(?:al )?code)(?: is)?\s?:?\s?)"
        r"(?P<value>\d{3,5}(?:[ -]\d{2,4})?)(?!\d)",
    ),
    _of("name", _NAMED, rf"(?P<value>{_ZH_FAMILY}[{HAN}]{{0,2}}?)(?:{_ZH_TITLES})", _zh_name),
    _of(
        "name",
        _NAMED,
        rf"(?:{_ZH_LABELS})[是为叫]?\s?:?\s?(?P<value>{_ZH_FAMILY}(?:[{HAN}]{{1,2}}?{_ZH_END}|[{HAN}]{{2}}))",
    ),
    _of("name", _NAMED, rf"(?<![A-Za-z]){_EN_TITLES}\.? {_EN_NAME}", _en_name),
    _of("name", _NAMED, rf"{_EN_LABELS}\s{{0,3}}{_EN_NAME}", _en_name),
    _of("name", _NAMED, rf"(?<![A-Za-z])Dear {_EN_NAME}(?=[,:\n])", _en_name),
)
KINDS = tuple(dict.fromkeys(one.kind for one in RECOGNISERS))
_PLAIN_TAGS = re.compile(f"<(?:{'|'.join(KINDS).upper()})>")
