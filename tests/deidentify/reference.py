"""The slow, obvious twin of the search: every node, every class, plain Python."""

from __future__ import annotations

import itertools
from collections import Counter
from fractions import Fraction
from math import floor, lcm, prod

from comity.deidentify.models.checker import holds_as_a_whole, satisfies
from comity.deidentify.models.population import DeltaPresence, KMap
from comity.deidentify.models.table_models import AverageRisk, PopulationUniqueness


def exhaustive(rows, hierarchies, models, limit, aggregate, weights=None):
    """The best (score, sum of levels, levels, suppressed, classes), or None.

    rows: dicts; hierarchies: {column: Hierarchy} that hold every value; limit: share of rows, as text or
        Fraction; weights: by column, 1 by default.
    """
    heavy = [Fraction(str((weights or {}).get(name, 1))) for name in hierarchies]
    common = lcm(*(weight.denominator for weight in heavy))
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
        broken |= broken_by_population(labels, names, hierarchies, node, models)
        broken |= broken_as_a_whole(rows, labels, broken, hierarchies, models)
        if unreachable(labels, broken, names, hierarchies, node, models):
            continue
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
        score = (
            sum(weight * loss for weight, loss in zip(heavy, losses, strict=True))
            if aggregate == "arithmetic"
            else prod((1 + loss) ** int(weight * common) for weight, loss in zip(heavy, losses, strict=True))
        )
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
        if isinstance(model, (AverageRisk, PopulationUniqueness, KMap, DeltaPresence)):
            continue
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


def members_of(model, names, hierarchies, node):
    """Members of the population by the labels of a node."""
    table = model.population
    rows = table.to_pylist()
    return Counter(
        tuple(
            hierarchies[name].generalise([row[name]], level)[0]
            for name, level in zip(names, node, strict=True)
        )
        for row in rows
    )


def broken_by_population(labels, names, hierarchies, node, models):
    broken = set()
    for model in models:
        if isinstance(model, (KMap, DeltaPresence)):
            members = members_of(model, names, hierarchies, node)
            for label, size in Counter(labels).items():
                if not satisfies(model, size, {}, {}, members.get(label, 0)):
                    broken.add(label)
    return broken


def unreachable(labels, broken, names, hierarchies, node, models):
    """Whether a class of the population has to have released rows, and has none."""
    kept = set(labels) - broken
    return any(
        isinstance(model, DeltaPresence)
        and model.low > 0
        and not set(members_of(model, names, hierarchies, node)) <= kept
        for model in models
    )


def broken_as_a_whole(rows, labels, broken, hierarchies, models):
    """Smallest classes first, then those of the lowest leaves; the count by bisection, as ARX does."""
    sizes = Counter(label for label in labels if label not in broken)
    first = {}
    for row, label in zip(rows, labels, strict=True):
        leaves = tuple(tree.leaves.index(row[name]) for name, tree in hierarchies.items())
        first[label] = min(first.get(label, leaves), leaves)
    order = sorted(sizes, key=lambda label: (sizes[label], first[label]))
    whole = [model for model in models if isinstance(model, (AverageRisk, PopulationUniqueness))]
    gone = 0
    while True:
        failing = [model for model in whole if not holds_as_a_whole(model, [sizes[x] for x in order[gone:]])]
        if not failing:
            return set(order[:gone])
        low, high = gone + 1, len(order)
        while low < high:
            middle = (low + high) // 2
            if holds_as_a_whole(failing[0], [sizes[x] for x in order[middle:]]):
                high = middle
            else:
                low = middle + 1
        gone = high
