import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finelake.text.normalise import match_key, normalise


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (None, None),
        ("ＡＢＣ　１２３", "ABC 123"),
        ("你好，世界！", "你好，世界！"),
        ("我用ｉＰｈｏｎｅ，然后呢？", "我用iPhone，然后呢？"),
        ("他说“你好”！", "他说“你好”！"),
        ("Ｈｅｌｌｏ，ｗｏｒｌｄ！", "Hello,world!"),
        ("共１，２３４元", "共1,234元"),
        ("《合同》（附件）", "《合同》（附件）"),
        ("等等……", "等等……"),
        ("wait…", "wait..."),
        ("a\u200bb\ufeffc\x00d\xad", "abcd"),
        (" a \t b\r\nc \n \n\n d ", "a b\nc\n\nd"),
        ("\u200b \x07", ""),
        ("Keep CASE ﬁne", "Keep CASE fine"),
    ],
)
def test_normalise(text, stored):
    assert normalise(text) == stored
    assert normalise(stored) == stored


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("cafÃ© â€œhiâ€\x9d", "café “hi”"),
        ("èˆ’é€‚", "舒适"),
        ("un vídeo de una actualización".encode().decode("macroman"), "un vídeo de una actualización"),
        ("x ≠ y, √2 ≥ 1", "x ≠ y, √2 ≥ 1"),
        ("你好，世界！今天天气".encode().decode("gbk"), "你好，世界！今天天气"),
        ("他说“你好”，don’t", "他说“你好”，don’t"),
        ("联通", "联通"),
        ("<p>Hello<br/>world &amp;amp; <B>you</b></p><script>x<1</script> end", "Hello\nworld & you\nend"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
        ("年龄&gt;=18岁，<b>好</b>", "年龄>=18岁，好"),
        ("＆ｌｔ；ｐ＆ｇｔ；x", "x"),
        ("a < b and c > d, x<y", "a < b and c > d, x<y"),
        ("24.0<bmi<28.0kg List<String> <PHONE> <ADDRESS>", "24.0<bmi<28.0kg List<String> <PHONE> <ADDRESS>"),
        ("AT&T &copy 5", "AT&T &copy 5"),
    ],
)
def test_normalise_repairs_mojibake_and_markup(text, stored):
    assert normalise(text) == stored
    assert normalise(stored) == stored


PIECES = [
    "<p>",
    "</p>",
    "<br>",
    "&amp;",
    "&lt;",
    "<",
    "&#8203;",
    "Ã©",
    "â€™",
    "＜",
    "＆",
    "；",
    "<script>",
    "浣犲",
    "&#x26;",
]
BROKEN = st.text(max_size=6).map(lambda text: text.encode().decode("latin-1"))


@settings(deadline=None, max_examples=300)
@given(st.lists(st.text(max_size=8) | st.sampled_from(PIECES) | BROKEN, max_size=8).map("".join), st.booleans())
def test_normalise_is_idempotent(text, chinese_punctuation):
    stored = normalise(text, chinese_punctuation)
    assert normalise(stored, chinese_punctuation) == stored


def test_repair_ends_however_deep_the_markup():
    assert normalise("<div>" * 5000 + "x" + "</div>" * 5000) == "x"
    assert normalise("&" + "amp;" * 15 + "lt;") == "<"


def test_normalise_can_fold_chinese_punctuation():
    assert normalise("你好，世界！（完）", chinese_punctuation=False) == "你好,世界!(完)"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Hello, World!", "hello world"),
        ("你好，　世界！！", "你好世界"),
        ("价格１，２３４元", "价格1234元"),
        ("Straße", "STRASSE"),
        ("call 138-1234-5678", "call 138 1234 5678"),
        ("end.", "end"),
    ],
)
def test_match_key_unifies(left, right):
    assert match_key(left) == match_key(right) != ""


@pytest.mark.parametrize(
    ("left", "right"),
    [("1.5", "15"), ("<18岁", ">18岁"), ("5%", "5"), ("3-5天", "35天"), ("$5", "€5"), ("HIV+", "HIV")],
)
def test_match_key_distinguishes(left, right):
    assert match_key(left) != match_key(right)


@pytest.mark.parametrize("text", [None, "", " ", "?!。……"])
def test_match_key_of_nothing(text):
    assert match_key(text) == ""
