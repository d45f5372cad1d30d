"""What the tests of personal data share: masking with the defaults, one value of each kind, the law of the gates."""

from finelake.text.personal_data.digits import FOLD
from finelake.text.personal_data.kinds import RECOGNISERS
from finelake.text.personal_data.masking import Rules, mask_text

# Of each kind one value as it stands in a text, with the words that its recogniser needs, and what of it must go.
PLANTED = {
    "url": ("https://e.com/a?token=s3cr3tpw", "s3cr3tpw"),
    "email": ("jane.roe@mail.example", "jane.roe@mail.example"),
    "resident_id": ("11010519491231002X", "11010519491231002X"),
    "credit_code": ("91110108551385082Q", "91110108551385082Q"),
    "iban": ("GB29NWBK60161331926819", "GB29NWBK60161331926819"),
    "card": ("4111111111111111", "4111111111111111"),
    "ssn": ("460-89-9847", "460-89-9847"),
    "passport": ("护照E87654321", "E87654321"),
    "phone": ("13987654321", "13987654321"),
    "plate": ("京A98765", "京A98765"),
    "wechat": ("微信号roe_jane77", "roe_jane77"),
    "qq": ("QQ:987654321", "987654321"),
    "ip": ("203.0.113.77", "203.0.113.77"),
    "address": ("北京市朝阳区建国路88号", "北京市朝阳区建国路88号"),
    "name": ("我叫欧阳菲菲，", "欧阳菲菲"),
}


def masked(text):
    """`text` masked with the default parameters."""
    return mask_text(text, Rules())


def check_gates(texts):
    """No gate is closed for a text in which its recogniser matches."""
    for text in texts:
        folded = text.translate(FOLD)
        for one in RECOGNISERS:
            assert one.gate.search(folded) or not list(one.spans(folded)), (one.kind, text)
