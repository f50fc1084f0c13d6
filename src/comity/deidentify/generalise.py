"""Generalise and suppress a table until it satisfies privacy models, losing as little as possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.deidentify.models.class_models import PrivacyModel
from comity.deidentify.models.safepub import safepub_of, sampled
from comity.deidentify.search.frames import Frame
from comity.deidentify.search.settings import METHODS, Settings
from comity.deidentify.search.solve import Solved, solve
from comity.deidentify.search.tuples import SUPPRESSED, distinct_tuples
from comity.errors import BadTable, UsageError
from comity.noise import permutation

__all__ = ["METHODS", "SUPPRESSED", "Anonymized", "anonymize"]

OBJECTIVES = ("loss", "target")


@dataclass(frozen=True)
class Anonymized:
    """What `anonymize` did.

    With SafePub the frame is a new one of the released rows alone, quasi-identifiers as texts, in a random
    order and without row numbers; the hierarchies have a leaf for missing values in any case; and the figures
    (`loss`, `suppressed` and those after) are the steward's, no part of what is protected.

    Attributes:
        frame: the table, rows in their order, quasi-identifiers as texts (a value still missing stays
            missing). A suppressed row stays in its place with "*" for every quasi-identifier; its other
            columns are as they were, as in ARX: drop such rows before anything leaves, `protect` does.
        levels: the level of each quasi-identifier; None where levels differ by row (method "local").
        loss: in [0, 1], as `loss.py` defines it, every quasi-identifier counting the same.
        objective: in [0, 1], what was minimised: the loss with `weights`; equal to `loss` without.
        suppressed: how many rows were suppressed now.
        already_suppressed: how many rows came in suppressed. They stay as they are and count nowhere else:
            not as rows of the table, nor for the limit, the loss, classes or sensitive values.
        classes: equivalence classes, without the suppressed rows.
        smallest_class: rows of the smallest of them; 0 if everything is suppressed.
        hierarchies: as applied, with a leaf for missing values where the table had some.
        kept: for each row of `frame`, whether it was kept.
        bound: no choice of common levels has a lower objective; equal to `objective` where the optimum is
            proven, as it is unless the lattice has more than half a million nodes. Of method "local" it says
            nothing: None.
        evaluated: how many nodes of the lattice the search looked at; 0 for method "local".
    """

    frame: Any
    levels: dict[str, int] | None
    loss: float
    objective: float
    suppressed: int
    already_suppressed: int
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
    weights: Mapping[str, float] | None = None,
    objective: str = "loss",
    target: str | None = None,
) -> Anonymized:
    """Make a table satisfy privacy models by generalising quasi-identifiers and suppressing some rows.

    Method "global" gives every quasi-identifier one level for the whole table and finds the proven optimum:
    the least loss among all combinations of levels that suppress at most floor(suppression_limit * rows)
    rows; ties go to the lower sum of levels, then to the lower levels of the first quasi-identifiers. All
    rows of classes that violate a model are suppressed, no others. Method "local" lets levels differ by
    class: a far lower loss, found by a deterministic heuristic.

    A row that reads "*" in every quasi-identifier came in suppressed (it is how this function shows such
    rows): it stays so, and the others are treated as if it were not there. Each run may suppress up to its
    own limit of the rows that are left, so add `already_suppressed` when you judge what is missing. Values
    that are labels of a higher level are an error: who generalises twice gives hierarchies of the labels.

    The privacy unit is one row. Nothing here is differentially private, and the choice of levels depends on
    the data (Wong et al. 2007: minimality; Cohen 2022: downcoding).

    Args:
        frame: pandas, Polars, Arrow, DuckDB: anything narwhals reads. `anonymize_file` takes files larger
            than memory.
        quasi_identifiers: the columns that could identify, each with its hierarchy, in order.
        require: the models, at least one; all have to hold.
        suppression_limit: in [0, 1].
        level_limits: lowest and highest level allowed by column, both inclusive. With method "local" no
            class goes below or above them; suppressed rows read "*" all the same.
        weights: how much a quasi-identifier's loss counts, by column, at least 0; 1 for those not named.
            Only their ratio matters (`loss.py` has the formula). A column of weight 0 is generalised as far
            as it helps the others.
        objective: "loss", or "target": among many releases that satisfy the models, the one from which a
            model of `target` learns most (`utility.objective.best_for_target` tells how it chose).
        target: a column with two values, for objective "target" only.

    Raises:
        UsageError: if an argument is out of range or columns contradict each other.
        BadTable: if values are missing from a hierarchy, or no release keeps to the limit.
    """
    if objective not in OBJECTIVES or (objective == "target") != (target is not None):
        raise UsageError(
            f"objective is {objective!r} and target {target!r}: 'loss' takes no target, 'target' takes one"
        )
    if target is not None:
        from comity.deidentify.utility.objective import best_for_target

        return best_for_target(
            frame,
            quasi_identifiers=quasi_identifiers,
            require=require,
            target=target,
            suppression_limit=suppression_limit,
            method=method,
            aggregate=aggregate,
            level_limits=level_limits,
            weights=weights,
        )[0]
    settings = Settings.checked(
        quasi_identifiers, require, suppression_limit, method, aggregate, level_limits, weights
    )
    if safepub_of(settings.models) is not None:
        return _by_sampling(frame, settings)
    table = Frame(frame, {name: hierarchy.texts for name, hierarchy in quasi_identifiers.items()})
    if table.rows == 0:
        raise BadTable("the table has no rows: there is nothing to anonymize", private=False)
    tuples = distinct_tuples(table, quasi_identifiers, settings.sensitive)
    done = solve(tuples, settings)
    shown = {name: (column.codes[tuples.of_row], column.labels) for name, column in done.columns.items()}
    return _anonymized(table.with_labels(shown), done, done.kept[tuples.of_row])


def _by_sampling(frame: Any, given: Settings) -> Anonymized:
    """For SafePub: the released rows of a sample in a random order, and nothing else that depends on rows.

    The order of rows, rows that read "*", a row's number or name in the frame, and whether a hierarchy has
    come to have a leaf for missing values would each tell more than the classes and their sizes do.
    """
    names = list(given.quasi_identifiers)
    given = replace(
        given, quasi_identifiers={name: given.quasi_identifiers[name].with_missing() for name in names}
    )
    like = Frame(frame)
    frame, settings = sampled(frame, given)
    table = Frame(frame, {name: tree.texts for name, tree in settings.quasi_identifiers.items()})
    tuples = distinct_tuples(table, settings.quasi_identifiers, settings.sensitive)
    done = solve(tuples, settings)
    kept = np.flatnonzero(done.kept[tuples.of_row])
    places = tuples.of_row[kept[permutation(len(kept))]]
    columns = {name: (column.codes[places], column.labels) for name, column in done.columns.items()}
    released = like.only_labels({name: columns[name] for name in like.columns})
    return _anonymized(released, done, np.ones(len(places), dtype=bool))


def _anonymized(frame: Any, done: Solved, kept: np.ndarray) -> Anonymized:
    return Anonymized(
        frame=frame,
        levels=done.levels,
        loss=done.loss,
        objective=done.objective,
        suppressed=done.suppressed,
        already_suppressed=done.already_suppressed,
        classes=done.classes,
        smallest_class=done.smallest_class,
        hierarchies=done.hierarchies,
        kept=kept,
        bound=done.bound,
        evaluated=done.evaluated,
    )
