"""The matrix is drawn where it can be read; the most frequent errors come first."""

from finelake.training.evaluation import confusion

PAIRS = [("a", "a"), ("a", "b"), ("b", "a"), ("b", "a"), ("b", "b"), ("c", "a")]


def test_the_most_frequent_errors_stand_first_with_the_rows_of_their_class():
    assert confusion.most_frequent(PAIRS) == [("b", "a", 2, 3), ("a", "b", 1, 2), ("c", "a", 1, 1)]


def test_a_class_that_only_the_model_knows_is_an_error_and_no_column():
    pairs = [("a", "new"), ("a", "a")]
    assert confusion.most_frequent(pairs) == [("a", "new", 1, 2)]
    figure = confusion.matrix(pairs)
    assert figure is not None and "new" not in figure


def test_more_classes_than_can_be_read_are_not_drawn():
    many = [(str(number), "0") for number in range(confusion.SHOWN_CLASSES + 1)]
    assert confusion.matrix(many) is None
    assert [panel.title for panel in confusion.panels(many)] == ["Most frequent confusions"]


def test_a_model_without_errors_has_a_matrix_only():
    assert [panel.title for panel in confusion.panels([("a", "a"), ("b", "b")])] == ["Confusion matrix"]
