"""Agreement beyond chance: Cohen's kappa for two annotators, Fleiss' for more, in exact fractions."""

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction


def cohen_kappa(table: Mapping[tuple[str, ...], int]) -> float:
    """Cohen's kappa (1960) from counts of label pairs; 1.0 where both always used the same single label.

    Exact fractions keep the last bit independent of the order of the counts.
    """
    total = sum(table.values())
    observed = Fraction(sum(count for (a, b), count in table.items() if a == b), total)
    first, second = _marginal(table, 0), _marginal(table, 1)
    expected = Fraction(sum(first[label] * second[label] for label in first), total * total)
    return _beyond_chance(observed, expected)


def fleiss_kappa(table: Mapping[tuple[str, ...], int]) -> float:
    """Fleiss' kappa (1971) from counts of label tuples, all of one length; 1.0 where only one label was used."""
    people = len(next(iter(table)))
    total = sum(table.values())
    used: Counter[str] = Counter()
    agreeing = 0
    for labels, count in table.items():
        per_label = Counter(labels)
        used.update({label: number * count for label, number in per_label.items()})
        agreeing += count * sum(number * (number - 1) for number in per_label.values())
    observed = Fraction(agreeing, total * people * (people - 1))
    expected = Fraction(sum(number * number for number in used.values()), (total * people) ** 2)
    return _beyond_chance(observed, expected)


def _beyond_chance(observed: Fraction, expected: Fraction) -> float:
    return 1.0 if expected == 1 else float((observed - expected) / (1 - expected))


def _marginal(table: Mapping[tuple[str, ...], int], person: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for labels, count in table.items():
        counts[labels[person]] += count
    return counts
