"""Names of people, Chinese and English, by an adjacent title or label: evidence, not proof."""

import re

from finelake.text.normalise import HAN
from finelake.text.personal_data.context import START
from finelake.text.personal_data.recogniser import recogniser

_NAMED = re.compile(
    "先生|女士|小姐|太太|阿姨|老师|师傅|大爷|大妈|叫|姓名|名字|件人|货人|系人|卡人|户人|请人|诉人|办人|款人|户名|代表人|署名|签名"
    "|Mr|Ms|Mx|Miss|Dr|Prof|Dear|name|Name|NAME|holder|Holder|HOLDER|ustomer|USTOMER|eneficiary|ecipient|illing|egards"
    "|EGARDS|incerely|am called"
)

# The most common family names; those that are also function words (和, 于, 时, 从, 向) are left out.
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
# After a name: the end of a clause, or a word that begins the next one.
_ZH_END = f"(?=[^{HAN}]|\\Z|我|的|在|是|电话|手机|身份|住|想|要|来|今|地址|卡|账|有|和|与|先生|女士)"

_EN_WORD = "(?!I\\b)[A-ZÀ-ÖØ-ÞĀ-ſΆ-ΩЀ-Я](?:[A-Za-zÀ-ſΆ-ώЀ-џ]|['’-][A-Za-zÀ-ſ])*"
_EN_NAME = (
    rf"(?P<value>{_EN_WORD}(?:(?: |(?<=[ .][A-Z])\. )(?:(?:de|da|do|dos|van|von|der|la|al|bin) )?{_EN_WORD}){{0,3}})"
)
_EN_TITLES = r"(?:Mrs?|Ms|Miss|Mx|Dr|Prof(?:essor)?)"
_EN_LABELS = (
    rf"(?i:{START}(?:(?:my|his|her|their) (?:full |first |last |maiden |family |sur)?name(?: is|'s|’s)|i am called)"
    rf"|{START}(?:(?:card|account) ?holder|customer|beneficiary|recipient|full|first|last|billing)(?: name)?\s?:"
    r"|(?<!account )(?<!creditor )(?<!company )(?<!product )(?<!bank )(?<!file )"
    rf"{START}name\s?:|{START}(?:regards|sincerely),?)"
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


def _zh_name(match: re.Match[str]) -> bool:
    """Neither a common word nor part of a clause."""
    return match["value"] not in _ZH_NO_NAME and not re.search("[的与被和是在括把给对向让]", match["value"])


def _en_name(match: re.Match[str]) -> bool:
    """Not an impersonal greeting, a mere role (Mr. Chairman), an office or its abbreviation (CFPB), or already
    redacted (XXXX XXXX)."""
    words = match["value"].split()
    return not (
        words[0] in _EN_NOBODY
        or (len(words) == 1 and words[0] in _EN_ROLES)
        or words[-1] in _EN_OFFICES
        or re.fullmatch("[B-DF-HJ-NP-TV-XZ]{3,}", match["value"])
        or any({*word} == {"X"} for word in words)
    )


NAMES = (
    recogniser("name", _NAMED, rf"(?P<value>{_ZH_FAMILY}[{HAN}]{{0,2}}?)(?:{_ZH_TITLES})", check=_zh_name),
    recogniser(
        "name",
        _NAMED,
        rf"(?:{_ZH_LABELS})[是为叫]?\s?:?\s?(?P<value>{_ZH_FAMILY}(?:[{HAN}]{{1,2}}?{_ZH_END}|[{HAN}]{{2}}))",
    ),
    recogniser("name", _NAMED, rf"(?<![A-Za-z]){_EN_TITLES}\.? {_EN_NAME}", check=_en_name),
    recogniser("name", _NAMED, rf"{_EN_LABELS}\s{{0,3}}{_EN_NAME}", check=_en_name),
    recogniser("name", _NAMED, rf"(?<![A-Za-z])Dear {_EN_NAME}(?=[,:\n])", check=_en_name),
)
