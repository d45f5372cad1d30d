"""Which classes are taken for which: the confusion matrix, and its most frequent errors."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from finelake.training.evaluation.figures import svg
from finelake.training.evaluation.report import Panel

SHOWN_CLASSES = 40  # classes up to which the whole matrix can be read
CONFUSIONS = 15  # pairs of classes listed

Pairs = Sequence[tuple[str, str]]  # actual and predicted class of each row


def panels(pairs: Pairs) -> list[Panel]:
    """The parts of a report: the matrix, where it can be read, and the errors, where there are any."""
    figure, errors = matrix(pairs), most_frequent(pairs)
    found = []
    if figure is not None:
        note = "Each row adds up to one: the darker, the larger the share of the actual class."
        found.append(Panel("Confusion matrix", note, figure))
    if errors:
        found.append(Panel("Most frequent confusions", columns=("Actual", "Predicted", "Rows", "Of"), rows=errors))
    return found


def most_frequent(pairs: Pairs) -> list[tuple[str, str, int, int]]:
    """(actual, predicted, rows, rows of the actual class) of the classes confused most often."""
    totals = Counter(actual for actual, _ in pairs)
    wrong = Counter((actual, predicted) for actual, predicted in pairs if actual != predicted)
    ranked = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))[:CONFUSIONS]
    return [(actual, predicted, count, totals[actual]) for (actual, predicted), count in ranked]


def matrix(pairs: Pairs) -> Markup | None:
    """The matrix by share of the actual class; None for more classes than can be read."""
    names = sorted({actual for actual, _ in pairs})
    if len(names) > SHOWN_CLASSES:
        return None
    index = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)))
    for actual, predicted in pairs:
        if predicted in index:
            counts[index[actual], index[predicted]] += 1
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)

    def draw(figure: Figure) -> None:
        panel = figure.subplots()
        panel.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="#eceff2", linewidth=0.4)
        panel.invert_yaxis()
        centres = np.arange(len(names)) + 0.5
        panel.set_xticks(centres, names, rotation=90, parse_math=False)
        panel.set_yticks(centres, names, parse_math=False)
        panel.set_xlabel("predicted")
        panel.set_ylabel("actual")
        panel.set_aspect("equal")

    size = 2.6 + 0.2 * len(names)
    return svg(draw, size, size)
