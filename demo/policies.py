"""The text of the bank's documents, as data. {phone}, {email}, {card}, {resident_id} become personal values."""

from datetime import datetime
from typing import NamedTuple


class Document(NamedTuple):
    """A file and its pages. Form: pdf, scan, docx, broken or encrypted."""

    name: str
    form: str
    lang: str
    title: str
    created: datetime
    pages: tuple[str, ...]


UNREADABLE = ("broken", "sealed")  # nobody can read the personal values of these

HANDBOOK_EN = (
    """
Finelake Bank - Policy Handbook, Chapter 4: Payment cards

4.1 Loss and theft. A card that is reported lost or stolen is blocked within
one minute. A replacement is posted on the next working day. The customer
bears no loss that arises after the report.

4.2 Cards kept by a machine. A card that a machine has retained is kept at
the branch for ten working days and is handed out against proof of identity.

4.3 Disputed payments. A customer may dispute a card payment within 60 days.
The amount is credited provisionally if no decision is made in ten days.

Worked example: the holder of card {card} disputed a payment
of 1,280.00 yuan and was called back on {phone} the same day.
""",
    """
Chapter 5: Fees

5.1 The annual fee of a credit card is 120.00 yuan. It is waived when twelve
payments were made during the year.

5.2 The fee for a cross-border cash withdrawal is 1 percent of the amount,
at least 15.00 yuan.

5.3 Fees that were charged by mistake are refunded within three working days.

Requests under this chapter go to {email} and quote the form
number 2019070100345678901 on the first page.
""",
)

HANDBOOK_ZH = (
    """
精湖银行 业务手册 第六章 个人贷款

6.1 申请人年满十八周岁，有稳定的收入来源，信用记录良好。

6.2 贷款审批应在七个工作日内完成，需要补充材料的，时间重新计算。

6.3 客户可以随时提前还款，还款满一年的不收取违约金。

6.4 逾期超过三十天的贷款转入催收，客户可以申请延期一次。

示例：客户身份证号{resident_id}申请装修贷款八万元，
联系电话{phone}已经核实。
""",
    """
第七章 电子银行

7.1 连续五次输错密码，登录权限锁定二十四小时。

7.2 更换设备时，需要身份证和短信验证码双重验证。

7.3 单日转账限额为五万元，客户可以在设置中调整，两小时后生效。

7.4 客户转错账户的，银行协助联系收款人，但不保证追回。

疑难问题请发邮件到{email}处理，回执编号20190701003456。
""",
)

NOTICE = (
    """
Finelake Bank            Branch notice
精湖银行                 网点公告

Dear customers,
from the first of March the branch opens
at nine and closes at five.

各位客户：
自三月一日起，网点营业时间
调整为上午九点至下午五点。

Questions: please call {phone}
""",
    """
Rates of exchange are shown at the counter.
外汇牌价以柜台公布为准。

Cash above 50,000 yuan must be ordered
one working day ahead.
五万元以上的现金请提前一个工作日预约。

Lost cards: report at once.
银行卡遗失请立即挂失。
""",
)

PRICES_EN = (
    """
Price list for private customers
This list applies from the day it is published. Prices are in yuan and include tax.
Service | Price | Remark
Annual fee, credit card | 120.00 | waived after twelve payments
Replacement card | 15.00 | free after theft
Domestic transfer | 0.00 | in the mobile app
Cross-border transfer | 80.00 | per order
Paper statement | 10.00 | per month
Early repayment | 0.00 | after one year
The price desk answers questions at {email}.
""",
)

CONTACTS_ZH = (
    """
各网点联系表
本表仅供内部使用，请勿外传。
网点 | 业务 | 联系方式
杭州西湖 | 贷款 | {phone}
上海静安 | 银行卡 | 见内网
成都高新 | 外汇 | {email}
武汉江岸 | 销户 | 见内网
如有变动请及时通知办公室。
""",
)

DOCUMENTS = (
    Document(
        "handbook_cards_en.pdf",
        "pdf",
        "en",
        "Policy Handbook: cards and fees",
        datetime(2018, 4, 12, 9, 30),
        HANDBOOK_EN,
    ),
    Document(
        "handbook_loans_zh.pdf", "pdf", "zh", "业务手册：贷款与电子银行", datetime(2019, 7, 1, 14, 0), HANDBOOK_ZH
    ),
    Document("branch_notice_scan.pdf", "scan", "zh", "Branch notice", datetime(2021, 2, 20, 10, 15), NOTICE),
    Document("price_list_en.docx", "docx", "en", "Price list", datetime(2022, 1, 3, 8, 0), PRICES_EN),
    Document("branch_contacts_zh.docx", "docx", "zh", "网点联系表", datetime(2023, 9, 18, 16, 45), CONTACTS_ZH),
    Document("broken_report.pdf", "broken", "en", "Report", datetime(2024, 5, 6, 11, 0), HANDBOOK_EN),
    Document("sealed_minutes.pdf", "encrypted", "en", "Minutes", datetime(2025, 11, 11, 11, 11), HANDBOOK_EN),
)
