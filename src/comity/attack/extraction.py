"""Model extraction: who has rows scored by a hidden linear or logistic model solves for the model.

The adversary is a provider: it knows its rows and got their scores (before the logistic function), and fits
the linear model of least norm through them (Tramer et al. 2016, "equation solving"). With more rows than
columns, and scores that are exact, that is the model itself. What it has is then tried on fresh rows: a hit
is a prediction as good as the model's own. Where rows that it left out say that its copy is no better than
the middle score, as with few rows of a model that says much the same of most, it goes by the middle score.

The control is the same adversary with the scores in another order, so that there is nothing to solve for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from comity.attack.interval import newcombe
from comity.attack.result import AttackResult
from comity.errors import BadInput

Floats = NDArray[np.float64]
Kind = Literal["logistic", "linear"]

TOLERANCE: Final = 0.01
"""How near a prediction of the copy has to be: in probability for a logistic model, in standard deviations of
the scores for a linear one."""


_FOLDS: Final = 10


@dataclass(frozen=True)
class ModelCopy:
    """A model that was solved for: weights and intercept."""

    weights: Floats
    intercept: float

    def scores(self, rows: Floats) -> Floats:
        return rows @ self.weights + self.intercept


def extract_model(rows: Floats, scores: Floats) -> ModelCopy:
    """The linear model of least squared error through scored rows; of several, the one of least norm.

    Args:
        rows: (n, columns) numbers.
        scores: (n,) what came back for them, before any logistic function.

    Raises:
        BadInput: if they do not fit together, or hold what is no number.
    """
    if rows.ndim != 2 or scores.shape != (len(rows),) or len(rows) < 1:
        raise BadInput("an extraction needs a matrix of rows and one score for each")
    if not (np.isfinite(rows).all() and np.isfinite(scores).all()):
        raise BadInput("an extraction needs finite numbers")
    middle, level = rows.mean(axis=0), float(scores.mean())
    weights = np.linalg.lstsq(rows - middle, scores - level, rcond=1e-9)[0]
    return ModelCopy(weights, level - float(middle @ weights))


def telling_rows(rows: Floats, number: int) -> Floats:
    """Rows made up so that few scores tell much: the middle of one's own rows, then steps from it along the
    directions in which they differ most, as long as numbers within -1 and 1 allow.

    Args:
        rows: (n, columns) the adversary's own rows, within -1 and 1.
        number: how many to make, 2 up to one more than there are columns.

    Raises:
        BadInput: for another number.
    """
    most = min(rows.shape[1] + 1, len(rows))
    if not 2 <= number <= most:
        raise BadInput(f"between 2 and {most} telling rows can be made of these, not {number}")
    middle = rows.mean(axis=0)
    directions = np.linalg.svd(rows - middle, full_matrices=False)[2][: number - 1]
    room = np.where(directions > 0, 1.0 - middle, 1.0 + middle)
    with np.errstate(divide="ignore"):
        steps = np.min(np.where(directions == 0, np.inf, room / np.abs(directions)), axis=1)
    return np.vstack([middle, middle + directions * steps[:, None]])


def extraction_attack(
    rows: Floats,
    scores: Floats,
    *,
    used: int,
    seed: int,
    kind: Kind = "logistic",
    tolerance: float = TOLERANCE,
    truth: Floats | None = None,
) -> AttackResult:
    """Solve for the model from `used` of the rows, and try what comes of it on all others.

    Args:
        rows, scores: all that the adversary had scored.
        used: how many of them it solves with, at least 2; at least 50 have to be left to try it on.
        seed: of which rows those are, and of the control's order.
        tolerance: see `TOLERANCE`.
        truth: the model's own scores of all rows, where they are known; else those that came back.

    Returns:
        `advantage` is the share of fresh rows that the copy predicts as the model does, less the share for
        whom the middle score is as good; `low` and `high` are Newcombe's interval of that difference.
    """
    fresh = len(rows) - used
    if used < 2 or fresh < 50:
        raise BadInput(f"an extraction needs 2 rows to solve with and 50 to try, not {used} and {fresh}")
    draw = np.random.default_rng([seed, 9])
    order = draw.permutation(len(rows))
    mine, others = order[:used], order[used:]
    right = (scores if truth is None else truth)[others]

    def hits(copied: Floats) -> int:
        return int(_near(copied, right, kind, tolerance).sum())

    def guess(told: Floats) -> Floats:
        if _learned(rows[mine], told, kind, tolerance):
            return extract_model(rows[mine], told).scores(rows[others])
        return np.full(fresh, np.median(told))

    got, blind = hits(guess(scores[mine])), hits(np.full(fresh, np.median(scores[mine])))
    control = hits(guess(draw.permutation(scores[mine])))
    low, high = newcombe(got, fresh, blind, fresh)
    return AttackResult(
        name="extraction",
        advantage=(got - blind) / fresh,
        low=low,
        high=high,
        control=(control - blind) / fresh,
        trials=fresh,
    )


def _learned(rows: Floats, scores: Floats, kind: Kind, tolerance: float) -> bool:
    """Whether a copy made without some of the rows says more of their scores than the middle one does.

    Where there are just as many equations as unknowns no row can be spared, and where there are more and they
    agree none needs to be: the copy is taken.
    """
    count, unknowns = len(rows), rows.shape[1] + 1
    rank = int(np.linalg.matrix_rank(np.column_stack([rows, np.ones(count)])))
    if count == rank == unknowns:
        return True
    if count > rank and _near(extract_model(rows, scores).scores(rows), scores, kind, tolerance).all():
        return bool(np.ptp(scores) > 0)
    gain = 0
    for out in np.array_split(np.arange(count), count if count < 2 * unknowns else _FOLDS):
        rest = np.setdiff1d(np.arange(count), out)
        copied = extract_model(rows[rest], scores[rest]).scores(rows[out])
        middle = np.full(len(out), np.median(scores[rest]))
        gain += int(_near(copied, scores[out], kind, tolerance).sum())
        gain -= int(_near(middle, scores[out], kind, tolerance).sum())
    return gain > 0


def _near(copied: Floats, right: Floats, kind: Kind, tolerance: float) -> NDArray[np.bool_]:
    if kind == "linear":
        return np.abs(copied - right) <= tolerance * max(float(right.std()), 1e-12)
    return np.abs(_logistic(copied) - _logistic(right)) <= tolerance


def _logistic(scores: Floats) -> Floats:
    return 0.5 * (1.0 + np.tanh(0.5 * scores))


@dataclass(frozen=True)
class ExtractionPoint:
    """The attack with one number of scored rows."""

    rows: int
    result: AttackResult


def extraction_curve(
    rows: Floats,
    scores: Floats,
    *,
    seed: int,
    numbers: tuple[int, ...],
    kind: Kind = "logistic",
    tolerance: float = TOLERANCE,
    truth: Floats | None = None,
) -> tuple[ExtractionPoint, ...]:
    """`extraction_attack` for several numbers of scored rows, as far as there are so many."""
    return tuple(
        ExtractionPoint(
            used,
            extraction_attack(
                rows, scores, used=used, seed=seed, kind=kind, tolerance=tolerance, truth=truth
            ),
        )
        for used in numbers
        if 2 <= used <= len(rows) - 50
    )


def rows_to_extract(curve: tuple[ExtractionPoint, ...], *, share: float = 0.9) -> int | None:
    """The fewest scored rows after which the copy's advantage is `share` or more, with the interval's lower
    end; None if none of these numbers was enough."""
    return next((point.rows for point in curve if point.result.low >= share), None)
