"""The baselines answer as they say."""

from finelake.training.evaluation import baselines


def test_most_frequent_breaks_ties_by_name():
    assert baselines.most_frequent(["b", "a", "c", "b", "a"]) == "a"


def test_classify():
    texts = ["my card is lost", "I lost a card", "lost my card again", "what is the rate", "interest on a loan"]
    labels = ["lost", "lost", "lost", "rate", "rate"]
    given = baselines.classify(texts, labels, ["the rate of interest please", "card lost"])
    assert given == {"majority": ["lost", "lost"], "tfidf": ["rate", "lost"]}


def test_classify_chinese_without_word_spaces():
    texts, labels = ["我的卡丢了", "卡不见了", "利率是多少", "贷款利率"], ["卡", "卡", "利率", "利率"]
    given = baselines.classify(texts, labels, ["请问利率多少"])
    assert given["tfidf"] == ["利率"]


def test_answer_by_language_and_nearest_prompt():
    train = [
        ("card lost", "We block it.", "en"),
        ("card stolen", "We block it.", "en"),
        ("interest rate", "It is 3 %.", "en"),
        ("卡丢了", "马上挂失。", "zh"),
    ]
    given = baselines.answer(train, [("which interest rate", "en"), ("我的卡丢了", "zh"), ("hallo", "de")])
    assert given["majority"] == ["We block it.", "马上挂失。", "We block it."]
    assert given["tfidf"][:2] == ["It is 3 %.", "马上挂失。"]
