"""Normalisation of texts: the form that is stored, and the key by which they are compared."""

import html
import re
import unicodedata

from ftfy import fix_encoding
from lxml.html import defs

HAN = "\u2e80-\u2fdf\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
CHINESE_PUNCTUATION = "，！？：；（）…"  # the marks that NFKC would turn into ASCII

_HAN = re.compile(f"[{HAN}]")
_MARKS = re.compile(f"([{CHINESE_PUNCTUATION}]+)")
# Neighbours that make a mark Chinese: Han characters and the marks that exist only in Chinese.
_CHINESE = re.compile(f"[{HAN}、。《》「」『』【】]")
_SKIPPED = " \t\n\xa0\u3000“”‘’\"'"  # between a mark and its neighbour
_NEWLINE = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_PARAGRAPHS = re.compile(r"\n\s*\n")


# Invisible control and format characters (Unicode categories Cc and Cf), which copied text in Chinese or English may
# hold; without tab and newline.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0001-\U000e007f]"
)


def normalise(
    text: str | None, chinese_punctuation: bool = True, encoding: bool = True, markup: bool = True
) -> str | None:
    """The form of a text that is stored: repaired, NFKC, no invisible characters, white space folded; case kept.

    Mojibake is repaired unless `encoding` is false, HTML tags and entities are resolved unless `markup` is false.
    Full-width letters and digits become ASCII. Full-width punctuation next to a Chinese character is kept unless
    `chinese_punctuation` is false. Runs of white space become one space, one newline if they hold one, an empty line if
    they hold several. Idempotent; None stays None.
    """
    if text is None:
        return None
    text = _tidy(_repair(text, encoding, markup), chinese_punctuation)
    # Tidying may reveal more to repair: full-width tags, entities escaped twice.
    for _ in range(ROUNDS):
        repaired = _repair(text, encoding, markup)
        if repaired == text:
            break
        text = _tidy(repaired, chinese_punctuation)
    return text


ROUNDS = 20  # of repair: each removes one layer


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
    # Cheap tests first: most texts need no repair.
    if encoding and not text.isascii():
        text = _read_as_gbk(fix_encoding(text) if _FOREIGN.search(text) else text)
    if markup and ("<" in text or "&" in text):
        text = _without_markup(text)
    return text


def _read_as_gbk(text: str) -> str:
    """Decode Chinese UTF-8 that was read as GBK; every other text is returned unchanged.

    Safe, because Chinese text in GBK is not valid UTF-8, except for a few characters that do not decode to Han.
    """
    try:
        decoded = text.encode("gbk").decode("utf-8")
    except UnicodeError:
        return text
    return decoded if _HAN.search(decoded) else text


def _without_markup(text: str) -> str:
    """The text without HTML elements and comments, block elements as line breaks; entities as their characters."""
    if _TAG.search(text):
        text = _without_tags(text)
    return _ENTITY.sub(lambda match: html.unescape(match.group()), text)


def _without_tags(text: str) -> str:
    """The text without tags, and without the content of script and style.

    A parser cannot do this: it also drops everything else in angle brackets, and what is nested too deeply.
    """
    pieces = _TAG.split(text)  # text, name of a tag, text, ...
    tags = [(name or "").lower() for name in pieces[1::2]]
    last = {tag: index for index, tag in enumerate(tags)}
    kept, hidden = [pieces[0]], ""
    for index, (tag, following) in enumerate(zip(tags, pieces[2::2], strict=True)):
        if not hidden and tag in ("script", "style") and last.get(f"/{tag}", -1) > index:
            hidden = tag
        elif tag == f"/{hidden}":
            hidden = ""
        if not hidden:
            kept += [_space(tag.removeprefix("/")), following]
    return "".join(kept)


def _space(name: str) -> str:
    return "\n" if name in _BREAKS else " " if name in _CELLS else ""


def _fold(text: str) -> str:
    """NFKC of everything except punctuation whose nearest neighbour, white space and quotes aside, is Chinese."""
    pieces = _MARKS.split(text)
    for index, piece in enumerate(pieces):
        before = pieces[index - 1].rstrip(_SKIPPED)[-1:] if index else ""
        after = pieces[index + 1].lstrip(_SKIPPED)[:1] if index + 1 < len(pieces) else ""
        if index % 2 == 0 or not _CHINESE.match(before) and not _CHINESE.match(after):
            pieces[index] = unicodedata.normalize("NFKC", piece)
    return unicodedata.normalize("NFC", "".join(pieces))


def _fold_space(text: str) -> str:
    paragraphs = _PARAGRAPHS.split(text.strip())
    return "\n\n".join("\n".join(" ".join(line.split()) for line in part.split("\n")) for part in paragraphs)


# Punctuation does not matter for matching, except between digits (1.5 is not 15) and where a sign changes the meaning
# of a number (<18 and >18, 5+ and 5, 50% and 50).
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_BETWEEN = re.compile(r"(?<=\d)[^\w<>≤≥=+%$€£¥]+(?=\d)")
_DROPPED = re.compile(r"[^\w<>≤≥=+%$€£¥.]+|_+|(?<!\d)\.+|\.+(?!\d)")


def match_key(text: str | None) -> str:
    """The key that equal texts share: NFKC, casefolded, without white space and punctuation.

    What separates digits becomes one dot; signs that change a number's meaning stay. None gives "".
    """
    if not text:
        return ""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    text = _BETWEEN.sub(".", _GROUPED.sub("", _INVISIBLE.sub("", text)))
    return _DROPPED.sub("", text)
