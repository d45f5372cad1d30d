"""The 24 scenes of a ticket, their business lines, and the code system that terms are aligned with."""

# the business line of each scene
PRODUCT_LINES = {
    "card_lost": "cards",
    "card_stolen": "cards",
    "card_not_arrived": "cards",
    "card_declined": "cards",
    "card_swallowed": "cards",
    "cash_short": "accounts",
    "transfer_pending": "payments",
    "transfer_failed": "payments",
    "transfer_wrong_account": "payments",
    "transfer_limit": "payments",
    "fee_unknown": "accounts",
    "fee_refund": "accounts",
    "charge_twice": "cards",
    "charge_unrecognised": "cards",
    "loan_apply": "loans",
    "loan_status": "loans",
    "loan_repay_early": "loans",
    "loan_overdue": "loans",
    "login_blocked": "digital",
    "password_reset": "digital",
    "device_change": "digital",
    "statement_request": "accounts",
    "account_close": "accounts",
    "exchange_rate": "payments",
}

# the scenes with which a hasty reader confuses a scene
CONFUSED_WITH = {
    "card_lost": ("card_stolen", "card_not_arrived"),
    "card_stolen": ("card_lost", "charge_unrecognised"),
    "card_not_arrived": ("card_lost", "loan_status"),
    "card_declined": ("card_swallowed", "transfer_failed"),
    "card_swallowed": ("cash_short", "card_lost"),
    "cash_short": ("card_swallowed", "charge_twice"),
    "transfer_pending": ("transfer_failed", "loan_status"),
    "transfer_failed": ("transfer_pending", "card_declined"),
    "transfer_wrong_account": ("transfer_failed", "transfer_pending"),
    "transfer_limit": ("transfer_failed", "fee_unknown"),
    "fee_unknown": ("fee_refund", "charge_unrecognised"),
    "fee_refund": ("fee_unknown", "charge_twice"),
    "charge_twice": ("charge_unrecognised", "fee_refund"),
    "charge_unrecognised": ("charge_twice", "card_stolen"),
    "loan_apply": ("loan_status", "loan_repay_early"),
    "loan_status": ("loan_apply", "loan_overdue"),
    "loan_repay_early": ("loan_overdue", "loan_apply"),
    "loan_overdue": ("loan_repay_early", "loan_status"),
    "login_blocked": ("password_reset", "device_change"),
    "password_reset": ("login_blocked", "device_change"),
    "device_change": ("login_blocked", "password_reset"),
    "statement_request": ("account_close", "fee_unknown"),
    "account_close": ("statement_request", "loan_repay_early"),
    "exchange_rate": ("fee_unknown", "transfer_limit"),
}

SCENES = tuple(PRODUCT_LINES)

# the number in the bank's answer (days, hours, minutes)
DAYS = {scene: 2 + (3 * i) % 13 for i, scene in enumerate(SCENES)}

# some scenes narrow a slot: an ATM keeps cards, a branch does not
SCENE_SLOTS = {
    "card_swallowed": {"channel": "atm"},
    "cash_short": {"channel": "atm"},
    **{scene: {"channel": "digital"} for scene in ("login_blocked", "password_reset", "device_change")},
    **{scene: {"product": "loan"} for scene in SCENES if scene.startswith("loan_")},
    **{
        scene: {"product": "account"}
        for scene in (
            "card_not_arrived",
            "transfer_limit",
            "fee_unknown",
            "fee_refund",
            "account_close",
            "exchange_rate",
        )
    },
}

# slot -> (ISO 20022 bank transaction code domain-family-subfamily, English, Chinese)
CODES = {
    "pos": ("PMNT-CCRD-POSD", "Point-of-sale payment by card", "销售点刷卡消费"),
    "cwdl": ("PMNT-CCRD-CWDL", "Cash withdrawal", "现金取款"),
    "xbcw": ("PMNT-CCRD-XBCW", "Cross-border cash withdrawal", "境外取现"),
    "dmct": ("PMNT-ICDT-DMCT", "Issued domestic credit transfer", "境内汇出汇款"),
    "xbct": ("PMNT-ICDT-XBCT", "Issued cross-border credit transfer", "跨境汇出汇款"),
    "stdo": ("PMNT-ICDT-STDO", "Standing order", "定期转账"),
    "rrtn": ("PMNT-ICDT-RRTN", "Reversal due to payment return", "退汇"),
    "rcdt": ("PMNT-RCDT-DMCT", "Received domestic credit transfer", "境内汇入汇款"),
    "sala": ("PMNT-RCDT-SALA", "Payroll or salary payment", "代发工资"),
    "pmdd": ("PMNT-IDDT-PMDD", "Direct debit payment", "代扣"),
    "fees": ("PMNT-MDOP-FEES", "Fees", "费用"),
    "cdpt": ("PMNT-CNTR-CDPT", "Cash deposit", "现金存款"),
    "ddwn": ("LDAS-CSLN-DDWN", "Consumer loan drawdown", "消费贷款发放"),
    "ppay": ("LDAS-CSLN-PPAY", "Consumer loan principal payment", "消费贷款还本"),
    "accc": ("ACMT-OPCL-ACCC", "Account closing", "销户"),
    "forx": ("FORX-SPOT-OTHR", "Foreign exchange spot", "即期结售汇"),
}

ENTITY_TYPES = (
    "PRODUCT",
    "AMOUNT",
    "DATE",
    "CHANNEL",
    "MERCHANT",
    "CITY",
    "CURRENCY",
    "CARD_TYPE",
    "FEE",
    "DEVICE",
    "ORGANISATION",
    "DURATION",
)
