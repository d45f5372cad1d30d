import pytest

from jobs.text import match_key, normalise


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
def test_match_key_makes_equal(left, right):
    assert match_key(left) == match_key(right) != ""


@pytest.mark.parametrize(
    ("left", "right"),
    [("1.5", "15"), ("<18岁", ">18岁"), ("5%", "5"), ("3-5天", "35天"), ("$5", "€5"), ("HIV+", "HIV")],
)
def test_match_key_keeps_apart(left, right):
    assert match_key(left) != match_key(right)


@pytest.mark.parametrize("text", [None, "", " ", "?!。……"])
def test_match_key_of_nothing(text):
    assert match_key(text) == ""
