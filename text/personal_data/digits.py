"""Digits in other scripts (full-width, circled, Chinese), and the canonical form of a value."""

import re
import unicodedata

# Replaces a claimed value: not a letter, digit or space. It is a noncharacter, which texts do not hold.
TAKEN = "\ufdd0"

# One character becomes one character, so that offsets hold. Superscripts stay: a footnote mark is not a digit of the
# number before it.
FOLD = {
    code: ord("0") + digit
    for code in (*range(0x660, 0x2070), *range(0x20A0, 0x2800), *range(0x1D7CE, 0x1D800))
    if (digit := unicodedata.digit(chr(code), -1)) >= 0
}
FOLD |= {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
FOLD |= dict.fromkeys(map(ord, "‐‑‒–—−"), ord("-")) | dict.fromkeys(
    map(ord, f"\u3000\xa0\u2009\u202f{TAKEN}"), ord(" ")
)

# 一三八… is read as digits in a second search, and only in long runs: 一 is also a word, as in 周一13812345678.
_HAN_DIGITS = "零〇○一二三四五六七八九幺两壹贰叁肆伍陆柒捌玖"
_SPOKEN = str.maketrans(_HAN_DIGITS, "00012345678912123456789")
_RUN = re.compile(f"[0-9{_HAN_DIGITS}](?:[ -]?[0-9{_HAN_DIGITS}]){{10,63}}")
LEAST = 4  # Chinese digits in a run that is read as digits


def read_spoken(folded: str) -> str:
    """A folded text with its long runs of Chinese digits as ASCII digits, of the same length."""
    return folded if folded.isascii() else _RUN.sub(_as_digits, folded)


def _as_digits(run: re.Match[str]) -> str:
    digits = run.group().translate(_SPOKEN)
    return digits if sum(map(str.__ne__, digits, run.group())) >= LEAST else run.group()


def canonical(kind: str, value: str) -> str:
    """One form for all ways to write a value: +86 138-1234-5678 and 一三八… are one phone."""
    value = value.translate(FOLD).casefold()
    if kind in ("email", "url", "wechat", "ip"):
        return value
    if kind in ("phone", "card", "resident_id"):
        value = value.translate(_SPOKEN)
    bare = re.sub(r"[\W_]", "", value)
    return re.sub("^(?:00)?86(?=1[3-9][0-9]{9}\\Z)", "", bare) if kind == "phone" else bare
