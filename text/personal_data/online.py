"""Accounts and addresses on the internet: secrets in links, e-mail, WeChat, QQ, IP addresses."""

import ipaddress
import re

from finelake.text.normalise import HAN
from finelake.text.personal_data.context import START, WORD, is_amount, text_after, text_before
from finelake.text.personal_data.digits import TAKEN
from finelake.text.personal_data.recogniser import recogniser

_AT = re.compile("@")
_LINK = re.compile("://")
_DOTS = re.compile(r"\d\.\d+\.\d+\.\d|[0-9A-Fa-f]:[0-9A-Fa-f:]*:")
_CHATS = re.compile(
    "微信|薇信|威信|V信|v信|扣扣|企鹅号|Q号|q号|QQ|Qq|qq|WeChat|Wechat|weChat|wechat|WECHAT|Weixin|weixin|WX|Wx|wx|VX|Vx|vx"
)

# Names of query fields whose values grant access (RFC 6750 access_token, presigned URLs, sessions).
_SECRETS = (
    r"(?:access_?|refresh_?|id_?|auth_?|csrf_?)?token|api_?key|secret|client_secret|pass(?:word|wd)?|pwd|sig(?:nature)?"
    r"|auth|session(?:_?id)?|sid|jwt|ticket|x-amz-(?:signature|credential|security-token)"
)
# Top-level domains of mail: Latin, encoded, Cyrillic, and Chinese ones by name, because Chinese text may follow.
_TOP = (
    r"(?:xn--[A-Za-z0-9-]{2,59}|[A-Za-z]{2,24}|[Ѐ-ӿ]{2,10}"
    "|中国|中國|公司|网络|網絡|网址|在线|集团|政务|公益|香港|台湾|台灣)"
)
_IP_CONTEXT = re.compile(rf"(?:{START}ip|address|地址)[^\w]{{0,3}}(?:is|[是为])?[^\w]{{0,3}}\Z", re.IGNORECASE)


def _wechat(match: re.Match[str]) -> bool:
    """An id, not a word: labelled as an id, after 微信 and a colon, or with a digit, _ or - in it."""
    labelled = re.search(r"号|id|信\W*:", match["label"], re.IGNORECASE)
    return bool(labelled or re.search(r"[\d_-]", match["value"]))


def _qq(match: re.Match[str]) -> bool:
    """Neither an amount nor a date."""
    return not is_amount(match) and not re.match("[年月]", text_after(match))


def _ip(match: re.Match[str]) -> bool:
    """An address, not a section such as 3.2.1.10: one of its numbers is large, or a word labels it."""
    try:
        address = ipaddress.ip_address(match.group())
    except ValueError:
        return False
    if address.version == 6:
        return sum(map(str.isalnum, match.group())) > 3
    return max(address.packed) >= 32 or bool(_IP_CONTEXT.search(text_before(match)))


LINKS = (
    recogniser("url", _LINK, r"(?<=://)(?P<value>[^\s/@:?#]{1,64}:[^\s/@]{1,256})(?=@)"),
    recogniser(
        "url",
        _LINK,
        rf"(?i:://[^\s?#]{{1,500}}[?#](?:[^\s#]{{0,500}}?&)?(?:{_SECRETS})=)(?P<value>[^\s&#\"'<>，。）{HAN}]{{4,4096}})",
    ),
    recogniser(
        "email",
        _AT,
        # Directly after @ a label may mix scripts; later ones may not, so that a sentence after an address stays.
        rf"[{WORD}Ѐ-ӿ.%+-]{{1,64}}@[\w-]{{1,63}}\.(?:(?:[A-Za-z0-9À-ɏ-]{{1,63}}|[^\W\d_A-Za-z]{{1,63}})\.){{0,7}}{_TOP}",
    ),
)
CHATS = (
    recogniser(
        "wechat",
        _CHATS,
        r"(?P<label>(?:(?:微信|薇信|威信|[Vv]信)(?:号码?)?|(?<![A-Za-z])(?i:wechat|weixin|wx|vx)(?: ?(?i:id)|号)?)"
        rf"[^\w<{TAKEN}]{{0,3}}(?:是|为|is )?[^\w<{TAKEN}]{{0,2}})"
        r"(?P<value>[A-Za-z][A-Za-z0-9_-]{5,19})(?![A-Za-z0-9_-])",
        check=_wechat,
    ),
    recogniser(
        "qq",
        _CHATS,
        r"(?:(?<![A-Za-z@])[Qq]{2}|扣扣|企鹅号|[Qq]号|微信)(?:号码?|群)?"
        rf"[^\w<{TAKEN}]{{0,3}}(?:是|为|is )?[^\w<{TAKEN}]{{0,2}}"
        r"(?P<value>[1-9]\d{4,10})(?!\d)(?!\.\d)",
        check=_qq,
    ),
)
IPS = (
    recogniser("ip", _DOTS, r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\d)", check=_ip),
    recogniser(
        "ip", _DOTS, rf"(?<![{WORD}:.])(?:[0-9A-Fa-f]{{0,4}}:){{2,7}}[0-9A-Fa-f]{{0,4}}(?![{WORD}:])", check=_ip
    ),
)
