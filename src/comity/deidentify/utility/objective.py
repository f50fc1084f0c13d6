"""Choose the release that a model learns most from, instead of the one with the least loss.

Candidates all satisfy the models within the suppression limit. With common levels they are the nodes of the
lattice that keep to the limit while none below them does (`frontier`); with levels that differ by row, the
placements under several weights for what the target depends on, and within the best of those nodes. Each is
judged by what a model trained on its released cells says of raw rows (`screen`), the best few by the model
itself. The rows on which the choice is reported had no part in it.

The choice reads the target of private rows: who knows how it is made learns something of them from the levels
that were chosen (minimality, Wong et al. 2007). It is refused together with a model that needs levels chosen
without the data (SafePub).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.generalise import Anonymized, anonymize
from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.deidentify.models.class_models import PrivacyModel
from comity.deidentify.release.expand import SoftColumn
from comity.deidentify.search.evaluate import Evaluator, Node
from comity.deidentify.search.frames import Frame
from comity.deidentify.search.settings import Settings
from comity.deidentify.search.solve import Solved, solve
from comity.deidentify.search.tuples import Tuples, distinct_tuples
from comity.deidentify.utility.cells import Cells
from comity.deidentify.utility.choice import Choice, ChosenRelease
from comity.deidentify.utility.frontier import frontier
from comity.deidentify.utility.model_utility import LOGISTIC, fitted_scores, name_of, split
from comity.deidentify.utility.quality import auc_difference, auc_of_counts, quality
from comity.deidentify.utility.screen import FOLDS, Screen
from comity.errors import BadTable, UsageError

TIE = 5e-4
"""AUCs closer than this are a tie: the lower loss wins. So are those closer than their own doubt."""

SCREENED = 200
FINALISTS = 5
_SECOND_LOOK = 12
_POWERS = (0.5, 1.0)
_WITHIN = 2
_REPORT_STREAM = 121
_REPORT_SHARE = 0.3


@dataclass(frozen=True)
class _Candidate:
    """A way of calling `anonymize`, and what it makes of the tuples."""

    name: str
    options: Mapping[str, Any]
    done: Solved
    guess: float


def best_for_target(
    frame: Any,
    *,
    quasi_identifiers: Mapping[str, Hierarchy],
    require: Sequence[PrivacyModel],
    target: str,
    suppression_limit: float = 0.05,
    method: str = "global",
    aggregate: str = "arithmetic",
    level_limits: Mapping[str, tuple[int, int]] | None = None,
    weights: Mapping[str, float] | None = None,
    features: Sequence[str] = (),
    positive: str | None = None,
    model: Any = LOGISTIC,
    seed: int = 0,
    candidates: int = SCREENED,
) -> tuple[Anonymized, Choice]:
    """Anonymize so that a model of `target` keeps most.

    Args:
        quasi_identifiers, require, suppression_limit, method, aggregate, level_limits, weights: as
            `anonymize`. Weights are those of the release with the least loss that the choice is compared
            with.
        target: a column with two values that is no quasi-identifier.
        features: columns released as they are that the model may learn from.
        positive: the target's value that counts as 1; by default the rarer of two.
        model: as `measure_utility`; the best few candidates are judged by it.
        seed: fixes which rows are held out.
        candidates: how many are judged at most.

    Returns:
        The release, and how it was chosen with what it gains. The second is for the steward.

    Raises:
        UsageError: if an argument is out of range, or a model needs levels fixed in advance.
        BadTable: if values are missing from a hierarchy, no release keeps to the limit, or the target has not
            two values.
    """
    from threadpoolctl import threadpool_limits

    refuse_choice(require)
    with threadpool_limits(1):  # many small systems: threads would wait for each other longer than they work
        return _chosen(
            frame,
            Settings.checked(
                quasi_identifiers, require, suppression_limit, method, aggregate, level_limits, weights
            ),
            {"target": target, "features": features, "positive": positive},
            model,
            seed,
            candidates,
        )


def _chosen(
    frame: Any,
    settings: Settings,
    learning: Mapping[str, Any],
    model: Any,
    seed: int,
    candidates: int,
) -> tuple[Anonymized, Choice]:
    quasi_identifiers = settings.quasi_identifiers
    table = Frame(frame, {name: hierarchy.texts for name, hierarchy in quasi_identifiers.items()})
    tuples = distinct_tuples(table, quasi_identifiers, settings.sensitive)
    whole = dict(zip(settings.names, tuples.hierarchies, strict=True))
    cells = Cells.of(frame, whole, **learning)
    chosen_on, reported_on = split(cells.labels, seed, share=_REPORT_SHARE, stream=_REPORT_STREAM)
    screen = Screen(cells, tuples, chosen_on, seed)
    importance = _importance(screen.smaller(), tuples)
    plain = _judged("the least loss", {}, settings, tuples, screen, cells)
    found, looked_at = _candidates(settings, tuples, screen, cells, importance, candidates)
    finalists = [plain, *sorted(found, key=_by_guess)[:FINALISTS]]
    measured = [
        np.array([_auc(one, cells, tuples, screen, left_out, model, seed) for left_out in screen.folds])
        for one in finalists
    ]
    best = _best(finalists, measured)
    scores = {
        "raw": fitted_scores(cells, cells.leaves, chosen_on, reported_on, model, seed),
        **{
            name: _scores(one, cells, tuples, chosen_on, reported_on, model, seed)
            for name, one in (("plain", plain), ("chosen", best))
        },
    }
    truth = cells.labels[reported_on]
    gain, low, high = auc_difference(truth, scores["chosen"], scores["plain"])
    report = Choice(
        target=cells.target,
        positive=cells.positive,
        model=name_of(model),
        candidates=1 + looked_at,
        test_rows=len(reported_on),
        importance=importance,
        raw=quality(truth, scores["raw"]),
        plain=_described(plain, truth, scores["plain"]),
        chosen=_described(best, truth, scores["chosen"]),
        gain=gain,
        low=low,
        high=high,
    )
    done = anonymize(
        frame,
        quasi_identifiers=quasi_identifiers,
        require=settings.models,
        suppression_limit=settings.suppression_limit,
        method=settings.method,
        aggregate=settings.aggregate,
        **{**_base(settings), **best.options},
    )
    return replace(done, bound=plain.done.bound), report


def refuse_choice(require: Sequence[PrivacyModel]) -> None:
    """Refuse models whose guarantee holds only for levels that were not chosen by looking at the data.

    Raises:
        UsageError: naming the model.
    """
    for model in require:
        if getattr(model, "fixed_levels", False) or type(model).__name__ == "SafePub":
            raise UsageError(
                f"objective 'target' chooses levels by looking at the data; {model.describe()} holds only "
                "for levels fixed in advance. Drop one of the two"
            )


def _judged(
    name: str,
    options: Mapping[str, Any],
    settings: Settings,
    tuples: Tuples,
    screen: Screen,
    cells: Cells,
) -> _Candidate:
    done = solve(
        tuples,
        Settings.checked(
            settings.quasi_identifiers,
            settings.models,
            settings.suppression_limit,
            settings.method,
            settings.aggregate,
            **{**_base(settings), **options},
        ),
    )
    return _Candidate(name, options, done, screen.auc(_shown(done, cells.columns), done.kept[:-1]))


def _base(settings: Settings) -> dict[str, Any]:
    """What candidates change of the settings, as it was given."""
    return {
        "level_limits": settings.level_limits,
        "weights": dict(zip(settings.names, settings.weights, strict=True)),
    }


def _candidates(
    settings: Settings,
    tuples: Tuples,
    screen: Screen,
    cells: Cells,
    importance: Mapping[str, float],
    most: int,
) -> tuple[list[_Candidate], int]:
    """Ways to anonymize within the limits, each with a guess at its AUC; and how many were looked at."""
    found: list[_Candidate] = []
    common = replace(settings, method="global")
    most_kept = FINALISTS if settings.method == "global" else _WITHIN
    nodes, looked_at = _common_levels(common, tuples, screen, importance, most, most_kept)
    for node in nodes:
        options: dict[str, Any] = {
            "level_limits": {
                name: (level if settings.method == "global" else low, level)
                for name, level, (low, _) in zip(
                    settings.names, node, settings.ranges(tuples.hierarchies), strict=True
                )
            }
        }
        found += _try("levels by the target", options, settings, tuples, screen, cells)
    for power in _POWERS:
        weights = _weights(importance, power)
        found += _try("weights by the target", {"weights": weights}, settings, tuples, screen, cells)
    return found, looked_at + len(_POWERS)


def _try(
    name: str,
    options: Mapping[str, Any],
    settings: Settings,
    tuples: Tuples,
    screen: Screen,
    cells: Cells,
) -> list[_Candidate]:
    """The candidate, if it keeps to the limit."""
    try:
        return [_judged(name, options, settings, tuples, screen, cells)]
    except BadTable:
        return []


def _common_levels(
    settings: Settings,
    tuples: Tuples,
    screen: Screen,
    importance: Mapping[str, float],
    most: int,
    most_kept: int,
) -> tuple[list[Node], int]:
    """The nodes that keep to the limit and teach most, by the quick look; and how many were looked at."""
    limit = settings.limit(tuples)
    quick = screen.smaller()
    evaluator = Evaluator(tuples, settings.models)
    steps = [hierarchy.levels - 1 for hierarchy in tuples.hierarchies]
    floor = max(importance.values(), default=0.0) / 20 + 1e-6
    worth = [importance[name] + floor for name in settings.names]

    def lost(node: Node) -> float:
        return sum(w * level / max(1, step) for w, level, step in zip(worth, node, steps, strict=True))

    def judged(node: Node, by: Screen, folds: int) -> float:
        evaluation = evaluator.evaluate(node, limit)
        kept = np.ones(len(tuples.counts), dtype=bool)
        if evaluation is not None:
            kept[evaluation.violating()] = False
        return by.auc(by.at_levels(tuples, node), kept, folds=folds)

    nodes = frontier(evaluator, settings.ranges(tuples.hierarchies), limit, lost)[:most]
    likely = sorted(nodes, key=lambda node: -judged(node, quick, 1))[:_SECOND_LOOK]
    best = sorted(likely, key=lambda node: -judged(node, screen, FOLDS))
    return best[:most_kept], len(nodes)


def _importance(screen: Screen, tuples: Tuples) -> dict[str, float]:
    """Per quasi-identifier, how much AUC is lost if it alone is hidden."""
    everything = np.ones(len(tuples.counts), dtype=bool)
    base = screen.auc(screen.at_levels(tuples, [0] * len(tuples.codes)), everything)
    found = {}
    for j, name in enumerate(screen.names):
        levels = [0] * len(tuples.codes)
        levels[j] = tuples.hierarchies[j].levels - 1
        found[name] = max(0.0, base - screen.auc(screen.at_levels(tuples, levels), everything))
    return found


def _weights(importance: Mapping[str, float], power: float) -> dict[str, float]:
    """Weights in tenths, the most important column 10, none below one."""
    most = max(importance.values(), default=0.0)
    return {
        name: max(1.0, round(10 * (value / most) ** power, 1)) if most else 1.0
        for name, value in importance.items()
    }


def _shown(done: Solved, columns: Sequence[SoftColumn]) -> NDArray[np.int64]:
    """(tuples, quasi-identifiers) rows of `SoftColumn.weights` that tuples show."""
    import pyarrow as pa

    from comity.data.table import Table

    found = []
    for column in columns:
        shown = done.columns[column.name]
        labels = Table(pa.table({column.name: pa.array(shown.labels, pa.string())}))
        found.append(column.codes(labels)[shown.codes[:-1]])
    return np.stack(found, axis=1)


def _by_guess(one: _Candidate) -> tuple[float, float]:
    return -one.guess, one.done.loss


def _best(finalists: Sequence[_Candidate], measured: Sequence[NDArray[np.float64]]) -> _Candidate:
    """The highest AUC; of those that tie with it, the lowest loss.

    A tie is closer than `TIE`, or than one standard error of the difference over the folds.
    """
    ahead = max(measured, key=lambda aucs: float(aucs.mean()))

    def ties(aucs: NDArray[np.float64]) -> bool:
        behind = ahead - aucs
        doubt = float(behind.std(ddof=1) / np.sqrt(len(behind)))
        return float(behind.mean()) <= max(TIE, doubt)

    return min(
        (one for one, aucs in zip(finalists, measured, strict=True) if ties(aucs)),
        key=lambda one: one.done.loss,
    )


def _auc(
    one: _Candidate,
    cells: Cells,
    tuples: Tuples,
    screen: Screen,
    left_out: NDArray[np.int64],
    model: Any,
    seed: int,
) -> float:
    train = np.concatenate([fold for fold in screen.folds if fold is not left_out])
    scores = _scores(one, cells, tuples, train, left_out, model, seed)
    labels = cells.labels[left_out].astype(np.float64)
    return auc_of_counts(scores, labels, 1 - labels)


def _scores(
    one: _Candidate,
    cells: Cells,
    tuples: Tuples,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    model: Any,
    seed: int,
) -> NDArray[np.float64]:
    shown = _shown(one.done, cells.columns)[tuples.of_row]
    kept = one.done.kept[tuples.of_row]
    return fitted_scores(cells, shown, train[kept[train]], test, model, seed, levels=one.done.levels)


def _described(one: _Candidate, truth: NDArray[np.uint8], scores: NDArray[np.float64]) -> ChosenRelease:
    return ChosenRelease(
        how=one.name,
        levels=one.done.levels,
        loss=one.done.loss,
        suppressed=one.done.suppressed,
        classes=one.done.classes,
        quality=quality(truth, scores),
    )
