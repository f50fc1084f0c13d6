"""Generalise and suppress a table until it satisfies privacy models, losing as little as possible."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from comity.deidentify.frames import Frame
from comity.deidentify.hierarchy import Hierarchy
from comity.deidentify.local import Placed, best_placed
from comity.deidentify.loss import Loss
from comity.deidentify.models import PrivacyModel, exact
from comity.deidentify.score import Found
from comity.deidentify.search import optimum
from comity.deidentify.tuples import Tuples, distinct_tuples
from comity.errors import BadTable, UsageError

SUPPRESSED = "*"
"""What every quasi-identifier of a suppressed row reads."""

METHODS = ("global", "local")


@dataclass(frozen=True)
class Anonymized:
    """What `anonymize` did.

    Attributes:
        frame: the table, rows in their order, quasi-identifiers as texts (a value still missing stays
            missing). A suppressed row stays in its place with "*" for every quasi-identifier; its other
            columns are as
            they were, as in ARX: drop such rows before anything leaves, `protect` does.
        levels: the level of each quasi-identifier; None where levels differ by row (method "local").
        loss: in [0, 1], as `loss.py` defines it.
        suppressed: how many rows are suppressed.
        classes: equivalence classes, without the suppressed rows.
        smallest_class: rows of the smallest of them; 0 if everything is suppressed.
        hierarchies: as applied, with a leaf for missing values where the table had some.
        kept: for each row, whether it was kept.
        bound: no choice of common levels loses less; equal to `loss` where the optimum is proven, as it is
            unless the lattice has more than half a million nodes. Of method "local" it says nothing: None.
        evaluated: how many nodes of the lattice the search looked at; 0 for method "local".
    """

    frame: Any
    levels: dict[str, int] | None
    loss: float
    suppressed: int
    classes: int
    smallest_class: int
    hierarchies: Mapping[str, Hierarchy]
    kept: np.ndarray
    bound: float | None
    evaluated: int


def anonymize(
    frame: Any,
    *,
    quasi_identifiers: Mapping[str, Hierarchy],
    require: Sequence[PrivacyModel],
    suppression_limit: float = 0.05,
    method: str = "global",
    aggregate: str = "arithmetic",
    level_limits: Mapping[str, tuple[int, int]] | None = None,
) -> Anonymized:
    """Make a table satisfy privacy models by generalising quasi-identifiers and suppressing some rows.

    Method "global" gives every quasi-identifier one level for the whole table and finds the proven optimum:
    the least loss among all combinations of levels that suppress at most floor(suppression_limit * rows)
    rows; ties go to the lower sum of levels, then to the lower levels of the first quasi-identifiers. All
    rows of classes that violate a model are suppressed, no others. Method "local" lets levels differ by
    class: a far lower loss, found by a deterministic heuristic.

    The privacy unit is one row. Nothing here is differentially private, and the choice of levels depends on
    the data (Wong et al. 2007: minimality; Cohen 2022: downcoding).

    Args:
        frame: pandas, Polars, Arrow, DuckDB: anything narwhals reads.
        quasi_identifiers: the columns that could identify, each with its hierarchy, in order.
        require: the models, at least one; all have to hold.
        suppression_limit: in [0, 1].
        level_limits: lowest and highest level allowed by column, both inclusive (method "global").

    Raises:
        UsageError: if an argument is out of range or columns contradict each other.
        BadTable: if values are missing from a hierarchy, or no release keeps to the limit.
    """
    models = _checked(quasi_identifiers, require, suppression_limit, method)
    table = Frame(frame, {name: hierarchy.texts for name, hierarchy in quasi_identifiers.items()})
    if table.rows == 0:
        raise BadTable("the table has no rows: there is nothing to anonymize", private=False)
    sensitive = list(dict.fromkeys(model.sensitive for model in models if model.sensitive is not None))
    tuples = distinct_tuples(table, quasi_identifiers, sensitive)
    names = list(quasi_identifiers)
    limit = math.floor(exact(suppression_limit) * table.rows)
    loss = Loss(tuples.hierarchies, table.rows, aggregate)
    ranges = _ranges(names, tuples, level_limits or {})
    found = optimum(tuples, models, limit, loss, ranges)
    placed = best_placed(tuples, models, limit, loss, found) if method == "local" else None
    if placed is not None and (found is None or loss.score(placed.losses) < loss.score(found.losses)):
        return _local_result(table, names, tuples, placed, loss)
    if found is None:
        raise BadTable(
            f"no combination of levels satisfies {'; '.join(model.describe() for model in models)} "
            f"with at most {limit} of {table.rows} rows suppressed. Raise suppression_limit, relax a model, "
            "or add a level to a hierarchy"
        )
    done = _global_result(table, names, tuples, found, loss)
    return done if method == "global" else replace(done, levels=None, bound=None)


def _checked(
    quasi_identifiers: Mapping[str, Hierarchy],
    require: Sequence[PrivacyModel],
    suppression_limit: float,
    method: str,
) -> list[PrivacyModel]:
    if not quasi_identifiers:
        raise UsageError("quasi_identifiers is empty: name the columns that could identify somebody")
    for name, hierarchy in quasi_identifiers.items():
        if not isinstance(hierarchy, Hierarchy):
            raise UsageError(
                f"quasi-identifier '{name}' comes with a {type(hierarchy).__name__}, not a Hierarchy"
            )
    models = list(require)
    if not models:
        raise UsageError("require is empty: name at least one privacy model, for example KAnonymity(5)")
    for model in models:
        if not isinstance(model, PrivacyModel):
            raise UsageError(f"{model!r} is no privacy model")
        if model.sensitive in quasi_identifiers:
            raise UsageError(
                f"column '{model.sensitive}' is both a quasi-identifier and sensitive: choose one"
            )
    if not 0 <= suppression_limit <= 1:
        raise UsageError(f"suppression_limit is {suppression_limit}: it is a share of the rows, from 0 to 1")
    if method not in METHODS:
        raise UsageError(f"method is {method!r}: it is one of {', '.join(METHODS)}")
    return models


def _ranges(
    names: Sequence[str], tuples: Tuples, limits: Mapping[str, tuple[int, int]]
) -> list[tuple[int, int]]:
    unknown = [name for name in limits if name not in names]
    if unknown:
        raise UsageError(f"level_limits names '{unknown[0]}', which is no quasi-identifier")
    ranges = []
    for name, hierarchy in zip(names, tuples.hierarchies, strict=True):
        low, high = limits.get(name, (0, hierarchy.levels - 1))
        if not 0 <= low <= high < hierarchy.levels:
            raise UsageError(
                f"level_limits of '{name}' are {low} to {high}; its hierarchy has levels 0 to "
                f"{hierarchy.levels - 1}"
            )
        ranges.append((low, high))
    return ranges


def _global_result(
    table: Frame, names: Sequence[str], tuples: Tuples, found: Found, loss: Loss
) -> Anonymized:
    kept = np.ones(len(tuples.counts), dtype=bool)
    kept[found.evaluation.violating()] = False
    replaced = {}
    for name, hierarchy, codes, level in zip(
        names, tuples.hierarchies, tuples.codes, found.evaluation.node, strict=True
    ):
        labels = list(hierarchy.labels[level])
        if SUPPRESSED not in labels:
            labels.append(SUPPRESSED)
        shown = np.where(kept, hierarchy.codes[level][codes], np.int32(labels.index(SUPPRESSED)))
        replaced[name] = (shown[tuples.of_row], labels)
    sizes = found.evaluation.remaining()
    return Anonymized(
        frame=table.with_labels(replaced),
        levels=dict(zip(names, found.evaluation.node, strict=True)),
        loss=loss.value(found.losses),
        suppressed=found.evaluation.suppressed,
        classes=len(sizes),
        smallest_class=int(sizes.min()) if len(sizes) else 0,
        hierarchies=dict(zip(names, tuples.hierarchies, strict=True)),
        kept=kept[tuples.of_row],
        bound=found.bound,
        evaluated=found.evaluated,
    )


def _local_result(
    table: Frame, names: Sequence[str], tuples: Tuples, placed: Placed, loss: Loss
) -> Anonymized:
    kept = placed.of_tuple >= 0
    owners = placed.of_tuple[kept]
    replaced = {}
    for j, (name, hierarchy, codes) in enumerate(zip(names, tuples.hierarchies, tuples.codes, strict=True)):
        labels = [label for of_level in hierarchy.labels for label in of_level]
        starts = np.cumsum([0, *(len(of_level) for of_level in hierarchy.labels)])
        labels.append(SUPPRESSED)
        table_of = np.stack(hierarchy.codes)
        levels = placed.levels[owners, j]
        shown = np.full(len(codes), len(labels) - 1, dtype=np.int64)
        shown[kept] = starts[levels] + table_of[levels, codes[kept]]
        replaced[name] = (shown[tuples.of_row], labels)
    return Anonymized(
        frame=table.with_labels(replaced),
        levels=None,
        loss=loss.value(placed.losses),
        suppressed=placed.suppressed,
        classes=len(placed.sizes),
        smallest_class=int(placed.sizes.min()) if len(placed.sizes) else 0,
        hierarchies=dict(zip(names, tuples.hierarchies, strict=True)),
        kept=kept[tuples.of_row],
        bound=None,
        evaluated=0,
    )
