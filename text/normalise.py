"""Text functions that several stages share: what is stored, and what is compared."""

import html
import re
import unicodedata

from ftfy import fix_encoding
from lxml.html import defs

HAN = "\u2e80-\u2fdf\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
CHINESE_PUNCTUATION = "，！？：；（）…"  # the marks that NFKC would turn into ASCII

_HAN = re.compile(f"[{HAN}]")
_MARKS = re.compile(f"([{CHINESE_PUNCTUATION}]+)")
# Neighbours that make a mark Chinese: Han characters and the marks that exist in Chinese alone.
_CHINESE = re.compile(f"[{HAN}、。《》「」『』【】]")
_LOOKED_THROUGH = " \t\n\xa0\u3000“”‘’\"'"
_NEWLINE = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_PARAGRAPHS = re.compile(r"\n\s*\n")


# Control and format characters (Unicode categories Cc and Cf) that a text in Chinese or English can hold, except tab
# and newline: they hide in copied text and look like nothing.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0001-\U000e007f]"
)


def normalise(
    text: str | None, chinese_punctuation: bool = True, encoding: bool = True, markup: bool = True
) -> str | None:
    """The text as it is stored: repaired, NFKC, no invisible characters, white space folded; case kept.

    Mojibake is repaired unless `encoding` is false, HTML tags and entities are resolved unless `markup` is false.
    Full-width letters and digits become ASCII. Full-width punctuation next to a Chinese character stays as it is
    unless `chinese_punctuation` is false. Runs of white space become one space, one newline if they hold one, an
    empty line if they hold several. Idempotent; None stays None.
    """
    if text is None:
        return None
    text = _tidy(_repair(text, encoding, markup), chinese_punctuation)
    # What tidying brings to light: full-width tags, entities written twice.
    for _ in range(ROUNDS):
        repaired = _repair(text, encoding, markup)
        if repaired == text:
            break
        text = _tidy(repaired, chinese_punctuation)
    return text


ROUNDS = 20  # of mending: each takes one layer off


def _tidy(text: str, chinese_punctuation: bool) -> str:
    text = _INVISIBLE.sub("", _NEWLINE.sub("\n", text))
    if not unicodedata.is_normalized("NFKC", text):
        text = _fold(text) if chinese_punctuation else unicodedata.normalize("NFKC", text)
    return _fold_space(text)


# UTF-8 read as a single-byte encoding leaves at least one of these; most texts hold none.
_FOREIGN = re.compile("[\x80-\u0fff\u2200-\u22ff\u2500-\u25ff]")
_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});")
# Elements by name, so that `a <b`, `List<String>` and a masked `<PHONE>` stay; <ADDRESS>, <TIME> may be masked values.
_NAMES = "|".join(sorted(defs.tags - {"address", "time"}))
_TAG = re.compile(rf"<(?:(/?(?:{_NAMES}))(?:\s[^<>]*|/)?|!--[^<>]*--)>", re.IGNORECASE)
_CELLS = {"td", "th"}
_BREAKS = defs.block_tags - _CELLS | {"br", "article", "aside", "footer", "header", "section", "title"}


def _repair(text: str, encoding: bool, markup: bool) -> str:
    # Cheap questions first: most texts need nothing.
    if encoding and not text.isascii():
        text = _read_as_gbk(fix_encoding(text) if _FOREIGN.search(text) else text)
    if markup and ("<" in text or "&" in text):
        text = _without_markup(text)
    return text


def _read_as_gbk(text: str) -> str:
    """Chinese UTF-8 that was read as GBK, read as UTF-8; every other text as it is.

    Sure, since Chinese text in GBK is no valid UTF-8 but for a few characters, which then decode to no Han.
    """
    try:
        told = text.encode("gbk").decode("utf-8")
    except UnicodeError:
        return text
    return told if _HAN.search(told) else text


def _without_markup(text: str) -> str:
    """The text without HTML elements and comments, block elements as line breaks; entities as their characters."""
    if _TAG.search(text):
        text = _without_tags(text)
    return _ENTITY.sub(lambda found: html.unescape(found.group()), text)


def _without_tags(text: str) -> str:
    """The text without tags, and without what stands in script and style.

    No parser does this: it drops whatever else stands in angle brackets, and what is nested too deep.
    """
    pieces = _TAG.split(text)  # text, name of a tag, text, ...
    tags = [(name or "").lower() for name in pieces[1::2]]
    last = {tag: place for place, tag in enumerate(tags)}
    kept, hidden = [pieces[0]], ""
    for place, (tag, following) in enumerate(zip(tags, pieces[2::2], strict=True)):
        if not hidden and tag in ("script", "style") and last.get(f"/{tag}", -1) > place:
            hidden = tag
        elif tag == f"/{hidden}":
            hidden = ""
        if not hidden:
            kept += [_space(tag.removeprefix("/")), following]
    return "".join(kept)


def _space(name: str) -> str:
    return "\n" if name in _BREAKS else " " if name in _CELLS else ""


def _fold(text: str) -> str:
    """NFKC of everything but the punctuation whose neighbour, white space and quotes aside, is Chinese."""
    pieces = _MARKS.split(text)
    for index, piece in enumerate(pieces):
        before = pieces[index - 1].rstrip(_LOOKED_THROUGH)[-1:] if index else ""
        after = pieces[index + 1].lstrip(_LOOKED_THROUGH)[:1] if index + 1 < len(pieces) else ""
        if index % 2 == 0 or not _CHINESE.match(before) and not _CHINESE.match(after):
            pieces[index] = unicodedata.normalize("NFKC", piece)
    return unicodedata.normalize("NFC", "".join(pieces))


def _fold_space(text: str) -> str:
    paragraphs = _PARAGRAPHS.split(text.strip())
    return "\n\n".join("\n".join(" ".join(line.split()) for line in part.split("\n")) for part in paragraphs)


# Punctuation says nothing for matching, except between digits (1.5 is not 15) and where a sign changes what a
# number says (<18 and >18, 5+ and 5, 50% and 50).
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_BETWEEN = re.compile(r"(?<=\d)[^\w<>≤≥=+%$€£¥]+(?=\d)")
_DROPPED = re.compile(r"[^\w<>≤≥=+%$€£¥.]+|_+|(?<!\d)\.+|\.+(?!\d)")


def match_key(text: str | None) -> str:
    """What two texts must share to count as equal: NFKC, casefolded, without white space and punctuation.

    Digits keep what separates them, as one dot; signs that change a number's meaning stay. None gives "".
    """
    if not text:
        return ""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    text = _BETWEEN.sub(".", _GROUPED.sub("", _INVISIBLE.sub("", text)))
    return _DROPPED.sub("", text)
