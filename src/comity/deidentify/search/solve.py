"""From distinct tuples to what each of them becomes: the part of `anonymize` that needs no table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.hierarchies.hierarchy import Hierarchy, Label
from comity.deidentify.search.local import Placed, best_placed, shown_sizes
from comity.deidentify.search.loss import Loss
from comity.deidentify.search.optimum import optimum
from comity.deidentify.search.score import Found
from comity.deidentify.search.settings import Settings
from comity.deidentify.search.tuples import SUPPRESSED, Tuples
from comity.errors import BadTable


@dataclass(frozen=True)
class Shown:
    """What a column becomes: tuple i reads `labels[codes[i]]`. The last code is for rows without a tuple,
    which came in suppressed: `codes[tuples.of_row]` serves every row."""

    codes: NDArray[np.int32]
    labels: list[Label]


@dataclass(frozen=True)
class Solved:
    """What was found for the tuples of a table. Names as in `generalise.Anonymized`.

    Attributes:
        columns: per quasi-identifier, in order.
        kept: per tuple, whether its rows are kept; a last false for rows without a tuple.
    """

    columns: Mapping[str, Shown]
    kept: NDArray[np.bool_]
    levels: dict[str, int] | None
    loss: float
    objective: float
    suppressed: int
    already_suppressed: int
    classes: int
    smallest_class: int
    hierarchies: Mapping[str, Hierarchy]
    bound: float | None
    evaluated: int


def solve(tuples: Tuples, settings: Settings) -> Solved:
    """Find levels for the tuples.

    Raises:
        BadTable: private; if no choice of levels keeps to the limit.
    """
    limit = settings.limit(tuples)
    loss = Loss(tuples.hierarchies, tuples.rows, settings.aggregate, settings.weights)
    ranges = settings.ranges(tuples.hierarchies)
    found = optimum(tuples, settings.models, limit, loss, ranges)
    if settings.method == "local":
        placed = best_placed(tuples, settings.models, limit, loss, found, ranges)
        if placed is not None and (found is None or loss.score(placed.losses) < loss.score(found.losses)):
            return _local(settings, tuples, placed, loss)
    if found is None:
        raise BadTable(
            f"no combination of levels satisfies {settings.describe()} "
            f"with at most {limit} of {tuples.rows} rows suppressed. Raise suppression_limit, relax a model, "
            "or add a level to a hierarchy"
        )
    done = _global(settings, tuples, found, loss)
    return done if settings.method == "global" else replace(done, levels=None, bound=None)


def _global(settings: Settings, tuples: Tuples, found: Found, loss: Loss) -> Solved:
    kept = np.ones(len(tuples.counts) + 1, dtype=bool)
    kept[found.evaluation.violating()] = False
    kept[-1] = False
    columns = {}
    for name, hierarchy, codes, level in zip(
        settings.names, tuples.hierarchies, tuples.codes, found.evaluation.node, strict=True
    ):
        labels = list(hierarchy.labels[level])
        if SUPPRESSED not in labels:
            labels.append(SUPPRESSED)
        shown = np.full(len(kept), labels.index(SUPPRESSED), dtype=np.int32)
        shown[kept] = hierarchy.codes[level][codes[kept[:-1]]]
        columns[name] = Shown(shown, labels)
    sizes = found.evaluation.remaining()
    return Solved(
        columns=columns,
        kept=kept,
        levels=dict(zip(settings.names, found.evaluation.node, strict=True)),
        loss=loss.value(found.losses),
        objective=loss.objective(found.losses),
        suppressed=found.evaluation.suppressed,
        already_suppressed=tuples.already_suppressed,
        classes=len(sizes),
        smallest_class=int(sizes.min()) if len(sizes) else 0,
        hierarchies=dict(zip(settings.names, tuples.hierarchies, strict=True)),
        bound=found.bound,
        evaluated=found.evaluated,
    )


def _local(settings: Settings, tuples: Tuples, placed: Placed, loss: Loss) -> Solved:
    kept = np.append(placed.of_tuple >= 0, False)
    owners = placed.of_tuple[kept[:-1]]
    columns = {}
    for j, (name, hierarchy, codes) in enumerate(
        zip(settings.names, tuples.hierarchies, tuples.codes, strict=True)
    ):
        labels = [label for of_level in hierarchy.labels for label in of_level]
        starts = np.cumsum([0, *(len(of_level) for of_level in hierarchy.labels)])
        labels.append(SUPPRESSED)
        table_of = np.stack(hierarchy.codes)
        levels = placed.levels[owners, j]
        shown = np.full(len(kept), len(labels) - 1, dtype=np.int32)
        shown[kept] = starts[levels] + table_of[levels, codes[kept[:-1]]]
        columns[name] = Shown(shown, labels)
    sizes = shown_sizes(tuples, placed)
    return Solved(
        columns=columns,
        kept=kept,
        levels=None,
        loss=loss.value(placed.losses),
        objective=loss.objective(placed.losses),
        suppressed=placed.suppressed,
        already_suppressed=tuples.already_suppressed,
        classes=len(sizes),
        smallest_class=int(sizes.min()) if len(sizes) else 0,
        hierarchies=dict(zip(settings.names, tuples.hierarchies, strict=True)),
        bound=None,
        evaluated=0,
    )
