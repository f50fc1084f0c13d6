"""The slow, obvious twin of the search: every node, every class, plain Python."""

from __future__ import annotations

import itertools
from collections import Counter
from fractions import Fraction
from math import floor, prod

from comity.deidentify.checker import satisfies


def exhaustive(rows, hierarchies, models, limit, aggregate):
    """The best (score, sum of levels, levels, suppressed, classes), or None.

    rows: dicts; hierarchies: {column: Hierarchy} that hold every value; limit: share of rows, as text or
        Fraction.
    """
    allowed = floor(Fraction(limit) * len(rows))
    names = list(hierarchies)
    best = None
    for node in itertools.product(*(range(hierarchies[name].levels) for name in names)):
        labels = [
            tuple(
                generalised(hierarchies[name], row[name], level)
                for name, level in zip(names, node, strict=True)
            )
            for row in rows
        ]
        broken = broken_classes(rows, labels, models)
        suppressed = sum(label in broken for label in labels)
        if suppressed > allowed:
            continue
        losses = [
            attribute_loss(
                hierarchies[name],
                [
                    Fraction(1) if label in broken else share(hierarchies[name], label[j], node[j])
                    for label in labels
                ],
            )
            for j, name in enumerate(names)
        ]
        score = sum(losses) if aggregate == "arithmetic" else prod(1 + loss for loss in losses)
        found = (score, sum(node), node, suppressed, len(set(labels) - broken))
        if best is None or found < best:
            best = found
    return best


def generalised(hierarchy, value, level):
    return next(row[level] for row in hierarchy.rows if row[0] == value)


def share(hierarchy, label, level):
    return Fraction(sum(row[level] == label for row in hierarchy.rows), len(hierarchy.rows))


def attribute_loss(hierarchy, shares):
    """Floor to ten decimals of max(0, (L - N/m) / (N - N/m))."""
    number, leaves = len(shares), len(hierarchy.rows)
    if leaves == 1:
        return Fraction(0)
    least = Fraction(number, leaves)
    loss = max(Fraction(0), (sum(shares) - least) / (number - least))
    return Fraction(floor(loss * 10**10), 10**10)


def broken_classes(rows, labels, models):
    sizes = Counter(labels)
    broken = set()
    for model in models:
        column = model.sensitive
        whole = Counter(row[column] for row in rows) if column else {}
        for label, size in sizes.items():
            inside = (
                Counter(row[column] for row, own in zip(rows, labels, strict=True) if own == label)
                if column
                else {}
            )
            if not satisfies(model, size, inside, whole):
                broken.add(label)
    return broken
