"""Postal addresses, Chinese and English, by the words in and before them: evidence, not proof."""

import re

from finelake.text.normalise import HAN
from finelake.text.personal_data.context import START, WORD
from finelake.text.personal_data.recogniser import recogniser

_PLACES = re.compile("[号弄栋幢]|地址|住址|邮编|邮政")
_EN_STREETS = (
    "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Terrace|Circle|Cir|Highway|Hwy"
    "|Parkway|Pkwy|Square|Sq|Trail|Trl"
)
_STREETS = re.compile(f"{_EN_STREETS}|Apt|Suite|Unit|Ste|Box|BOX|box|Zip|ZIP|zip|Post|POST|post")

_PROVINCES = (
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南"
    "|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)
# None of the characters that lead to a place (in, to, send to): 住在北京市… begins at 北京.
_ZH_PLACE = f"(?![在到是为我的住址寄送请往去])[{HAN}]"
_ZH_NUMBER = r"\s?[\d一二三四五六七八九十百]{1,5}(?:-\d{1,4})?"
_ZH_UNIT = r"(?:号院|号楼|号|弄|栋|幢|座|单元|楼|层|室|户)"
_ZH_ROAD = (
    rf"(?:路|街|大道|巷|胡同|弄|村|小区|花园|公寓|大厦|苑){_ZH_NUMBER}{_ZH_UNIT}(?!线)"
    rf"(?:(?:{_ZH_PLACE}){{0,8}}?{_ZH_NUMBER}{_ZH_UNIT})*(?:\d{{3,4}}(?!\d))?"
)
_EN_ROOM = r"(?:Apt|Suite|Unit|Ste)\.? ?#?\d{1,5}[A-Z]?(?![A-Za-z0-9_])"


def _zh_address(match: re.Match[str]) -> bool:
    """The text after 地址: names a place or a number."""
    return bool(re.search(rf"\d|{_PROVINCES}|[省市区县镇乡村路街巷]", match["value"]))


ADDRESSES = (
    recogniser("address", _PLACES, rf"(?:{_PROVINCES})(?:{_ZH_PLACE}){{1,24}}?{_ZH_ROAD}"),
    recogniser("address", _PLACES, rf"(?:{_ZH_PLACE}){{1,8}}?{_ZH_ROAD}"),
    recogniser(
        "address",
        _PLACES,
        r"[地住]址(?:(?:是|为):?|:)\s?(?P<value>[^\s。,;!?]{5,40})",
        check=_zh_address,
    ),
    recogniser("address", _PLACES, r"(?:邮编|邮政编码)(?:是|为)?:?\s?(?P<value>\d{6})(?!\d)"),
    recogniser(
        "address",
        _STREETS,
        rf"(?<![{WORD}.,$])\d{{1,6}} (?:[NSEW]\.? )?(?:[A-Z][\w'’-]*\.? ){{1,4}}(?:{_EN_STREETS})(?![A-Za-z])\.?"
        rf"(?:,?\s{{1,3}}{_EN_ROOM})?"
        r"(?:,?\s{1,3}[A-Z][\w'’-]+(?: [A-Z][\w'’-]+){0,2},?\s{1,3}[A-Z]{2}(?:,?\s{1,3}\d{5}(?:-\d{4})?(?!\d))?)?",
    ),
    recogniser("address", _STREETS, rf"{START}{_EN_ROOM}"),
    recogniser("address", _STREETS, rf"(?i:{START}(?:p\.? ?o\.? ?box \d{{1,6}}|psc \d{{1,4}},? box \d{{1,6}})(?!\d))"),
    recogniser(
        "address",
        _STREETS,
        rf"(?i:{START}(?:zip(?: ?code)?|post(?:al )?code)(?: is)?\s?:?\s?)"
        r"(?P<value>\d{3,5}(?:[ -]\d{2,4})?)(?!\d)",
    ),
)
