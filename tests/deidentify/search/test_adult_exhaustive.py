"""The search on real Adult against a plain reading of DESIGN.md's loss and ARX's published semantics.

Nothing here is shared with the code that it checks: files are read by the csv module, every node of the
lattice is evaluated row by row in numpy, and losses are whole numbers.
"""

from __future__ import annotations

import csv
import itertools
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from comity.deidentify import (
    DistinctLDiversity,
    EntropyLDiversity,
    Hierarchy,
    KAnonymity,
    RecursiveLDiversity,
    TCloseness,
    anonymize,
)
from comity.errors import BadTable

ADULT = Path(__file__).parents[4] / "shared" / "data" / "adult"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ADULT.is_dir(), reason="the folder shared/data is absent"),
]

SETS = {
    ("sex", "age", "race", "education"): "occupation",
    ("age", "education", "native-country"): "occupation",
    ("marital-status", "workclass", "occupation", "sex"): "salary-class",
    ("age", "marital-status", "occupation"): "salary-class",
}
LIMITS = ["0", "0.01", "0.5", "1"]


def distinct(counts, l):  # noqa: E741
    return (counts > 0).sum(axis=1) >= l


def entropy(counts, l):  # noqa: E741
    shares = counts / counts.sum(axis=1, keepdims=True)
    logs = np.log(np.where(shares > 0, shares, 1))
    return -(shares * logs).sum(axis=1) >= math.log(l)


def recursive(counts, l, c):  # noqa: E741
    falling = -np.sort(-counts, axis=1)
    return (falling[:, l - 1] > 0) & (falling[:, 0] < c * falling[:, l - 1 :].sum(axis=1))


def close_equal(counts, t):
    whole = counts.sum(axis=0) / counts.sum()
    shares = counts / counts.sum(axis=1, keepdims=True)
    return np.abs(shares - whole).sum(axis=1) / 2 <= t


def close_ordered(counts, t):
    whole = counts.sum(axis=0) / counts.sum()
    shares = counts / counts.sum(axis=1, keepdims=True)
    return np.abs(np.cumsum(shares - whole, axis=1)).sum(axis=1) / (counts.shape[1] - 1) <= t


def models(column):
    """Each model with its name and its plain test of (classes, values) counts, values in order of text."""
    ks = [([KAnonymity(k)], lambda counts, k=k: counts.sum(axis=1) >= k) for k in (2, 5, 100)]
    return [
        *ks,
        ([DistinctLDiversity(column, 2)], lambda counts: distinct(counts, 2)),
        (
            [KAnonymity(5), EntropyLDiversity(column, 1.7)],
            lambda counts: (counts.sum(axis=1) >= 5) & entropy(counts, 1.7),
        ),
        ([RecursiveLDiversity(column, 2, 3.0)], lambda counts: recursive(counts, 2, 3)),
        (
            [KAnonymity(5), TCloseness(column, 0.2)],
            lambda counts: (counts.sum(axis=1) >= 5) & close_equal(counts, 0.2),
        ),
        (
            [KAnonymity(3), TCloseness(column, 0.15, distance="ordered")],
            lambda counts: (counts.sum(axis=1) >= 3) & close_ordered(counts, 0.15),
        ),
    ]


def read_adult():
    with (ADULT / "adult.csv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def read_levels(name, rows):
    """Per level: the label number of each row, and the leaves under the label of each row; and all leaves."""
    with (ADULT / f"adult_hierarchy_{name}.csv").open(newline="") as file:
        tree = {line[0]: line for line in csv.reader(file, delimiter=";") if line}
    found = []
    for level in range(len(next(iter(tree.values())))):
        names = {label: i for i, label in enumerate(sorted({line[level] for line in tree.values()}))}
        under = np.zeros(len(names), dtype=np.int64)
        for line in tree.values():
            under[names[line[level]]] += 1
        labels = np.array([names[tree[row[name]][level]] for row in rows])
        found.append((labels, under[labels]))
    return found, len(tree)


def nodes_of(names, column, rows):
    """For each node and each model: suppressed rows, classes kept, loss per attribute in units of 1e-10."""
    levels = {name: read_levels(name, rows) for name in names}
    order = sorted({row[column] for row in rows})
    values = np.array([order.index(row[column]) for row in rows])
    for node in itertools.product(*(range(len(levels[name][0])) for name in names)):
        chosen = [levels[name][0][level] for name, level in zip(names, node, strict=True)]
        key = np.zeros(len(rows), dtype=np.int64)
        for labels, _ in chosen:
            key = key * (labels.max() + 1) + labels
        _, classes = np.unique(key, return_inverse=True)
        counts = np.zeros((classes.max() + 1, len(order)), dtype=np.int64)
        np.add.at(counts, (classes, values), 1)
        for number, (_, holds) in enumerate(models(column)):
            fine = holds(counts)
            kept = fine[classes]
            gone = int((~kept).sum())
            losses = []
            for (_, under), name in zip(chosen, names, strict=True):
                leaves = levels[name][1]
                covered = int(under[kept].sum()) + gone * leaves
                share = Fraction(covered - len(rows), len(rows) * (leaves - 1))
                losses.append(math.floor(max(Fraction(0), share) * 10**10))
            yield number, node, gone, int(fine.sum()), losses


@pytest.mark.parametrize("names", SETS, ids="+".join)
def test_every_node_of_the_lattice_agrees(names):
    column = SETS[names]
    rows = read_adult()
    best = {}
    for number, node, gone, classes, losses in nodes_of(names, column, rows):
        for limit in LIMITS:
            if gone > math.floor(Fraction(limit) * len(rows)):
                continue
            for aggregate in ("arithmetic", "geometric"):
                score = sum(losses) if aggregate == "arithmetic" else math.prod(10**10 + x for x in losses)
                found = (score, sum(node), node, gone, classes, losses)
                place = (number, limit, aggregate)
                if place not in best or found < best[place]:
                    best[place] = found
    frame = pd.DataFrame(rows)
    trees = {name: Hierarchy.read_csv(ADULT / f"adult_hierarchy_{name}.csv") for name in names}
    for number, (required, _) in enumerate(models(column)):
        for limit, aggregate in itertools.product(LIMITS, ("arithmetic", "geometric")):
            asked = {
                "quasi_identifiers": trees,
                "require": required,
                "suppression_limit": float(limit),
                "aggregate": aggregate,
            }
            if (number, limit, aggregate) not in best:
                with pytest.raises(BadTable, match="no combination of levels"):
                    anonymize(frame, **asked)
                continue
            _, _, node, gone, classes, losses = best[number, limit, aggregate]
            done = anonymize(frame, **asked)
            assert tuple(done.levels.values()) == node, (required, limit, aggregate)
            assert (done.suppressed, done.classes) == (gone, classes)
            parts = [loss / 10**10 for loss in losses]
            expected = (
                sum(parts) / len(parts)
                if aggregate == "arithmetic"
                else math.prod(1 + part for part in parts) ** (1 / len(parts)) - 1
            )
            assert done.loss == pytest.approx(expected, abs=1e-12)
            assert done.bound == done.loss
