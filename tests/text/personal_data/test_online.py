"""E-mail, secrets in links, chat accounts and IP addresses are masked; versions and plain links are not."""

import pytest

from tests.text.personal_data.cases import check_gates, masked

MASKED = [
    ("邮箱zhang.san@example.com。", "邮箱<EMAIL>。"),
    ("13812345678@qq.com", "<EMAIL>"),
    ("a＠ｂ．ｃｏｍ和b@c.com.cn", "<EMAIL>和<EMAIL>"),
    ("IP是10.0.0.1", "IP是<IP>"),
    ("微信号：zhang_san,加我vx lisi1988", "微信号：<WECHAT>,加我vx <WECHAT>"),
    ("微信：zhangsan", "微信：<WECHAT>"),
    ("WeChat ID: janedoe", "WeChat ID: <WECHAT>"),
    ("QQ:123456789,扣扣号是98765", "QQ:<QQ>,扣扣号是<QQ>"),
    ("https://ann:s3cret@example.com/x?id=7", "https://<URL>@example.com/x?id=7"),
    ("见https://e.com/a?page=2&access_token=eyJhbGciOi。", "见https://e.com/a?page=2&access_token=<URL>。"),
    ("服务器2001:db8::8a2e:370:7334连不上", "服务器<IP>连不上"),
    ("请发到li.wei@例子.com谢谢", "请发到<EMAIL>谢谢"),
    ("li@例子.中国和ivan@почта.рф, a@b.xn--fiqs8s", "<EMAIL>和<EMAIL>, <EMAIL>"),
    ("a@b.com.谢谢", "<EMAIL>.谢谢"),
    ("from 192.168.1.254 and 2001:db8::8a2e:370:7334", "from <IP> and <IP>"),
]
KEPT = [
    "部门x@某处.请看",
    "version 1.2.3, 999.1.1.1 and 12:30:45",
    "me @ home",
    "用微信支付,WeChat payment, 微信小程序, wechat: payment failed",
    "QQ空间,QQ 2024年,QQ:12345元",
    "https://example.com/a?page=2&lang=zh#top",
    "见3.2.1.10节与版本1.2.3.4",
]


@pytest.mark.parametrize(("text", "expected"), MASKED)
def test_accounts_and_addresses_on_the_internet_are_masked(text, expected):
    assert masked(text) == expected
    assert masked(expected) == expected


@pytest.mark.parametrize("text", KEPT)
def test_versions_links_and_names_of_services_stay(text):
    assert masked(text) == text


def test_no_gate_hides_a_value():
    check_gates([*KEPT, *(text for text, _ in MASKED)])
