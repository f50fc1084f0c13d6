"""Improving a model by noisy clipped gradients over features that the provider keeps to itself.

The ML party's start model is scored beside the data; what is learned is an additive correction over bins of
the features, made from public facts (`public_columns`): log odds = scale * start + one weight per column. The
conversation is fixed beforehand (`SHARES`): how many records stand in each bin, a few full-batch gradients,
whether the result ranks better than the start (`hosted_guard`), and feedback about what is kept. Each
record's gradient is mixed by the ML party's matrix and cut to length, which is what one record can move a sum
by; a long step along a direction that the data hardly determines is thus cheap (DP gradient descent, Abadi et
al. 2016, without sampling; preconditioned as in Newton's method).

Unit: record or person; relation: add-remove. Sums are whole numbers, cut towards zero, so norms never grow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from comity.data.bins import quantile_edges
from comity.data.encode import BinnedColumn, Encoder, LevelColumn
from comity.data.table import Table
from comity.errors import BadInput
from comity.schema import Schema
from comity.validate.hosted import MOST_ROWS, HostedQuestion
from comity.validate.mechanism import Sizes

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ROUNDS: Final = 4
SHARES: Final[tuple[float, ...]] = (0.14, *(0.78 / ROUNDS,) * ROUNDS, 0.04, 0.04)
"""The budget of each query: the bins' counts, the gradients, the guard, the feedback."""
QUERIES: Final = len(SHARES)
FEEDBACK: Final = HostedQuestion.equal_width(20)

MOST_WIDTH: Final = 2_000
_CAP: Final = 1 << 20
_GRAIN: Final = 1 << 10
_CLIP: Final = 8.0
_LEAST_CLIP: Final = 0.8
_MOST_CLIP: Final = 4.0
_SCALE: Final = 1.0
_PRIOR: Final = 2.0
_SEED_WEIGHT: Final = 2_500.0
_CURVATURE: Final = 0.12
_BLOCK: Final = 4096
_MOST_ODDS: Final = 9.0
_MOST_WEIGHT: Final = 1e6
_SPIKE: Final = 0.5


_MOST_LEVELS = 100


def public_columns(schema: Schema, seeds: Table, names: tuple[str, ...], *, bins: int = 16) -> Encoder:
    """Bins from the schema's bounds and levels and from the seed rows, which are disclosed outright.

    A number that sits at its lower bound in most seed rows (an amount that most people do not have) is cut at
    halves, quarters, ... of its range as well: few seed rows tell where the rest lies. A category of many
    levels is left to the start model: each level's bin would hold few records and the whole noise.

    Raises:
        BadInput: if no column is left.
    """
    made: list[BinnedColumn | LevelColumn] = []
    for name in names:
        column = schema[name]
        if not column.type.is_numeric:
            levels = column.values or ()
            if len(levels) <= _MOST_LEVELS:
                made.append(LevelColumn(name, levels))
            continue
        low, high = float(column.min or 0.0), float(column.max or 0.0)
        numbers = seeds.numbers(name)
        known = np.clip(numbers[~np.isnan(numbers)], low, high)
        edges = {edge for edge in quantile_edges(known, bins, 5) if low < edge <= high}
        if len(known) and float((known == low).mean()) >= _SPIKE and high > low:
            edges |= {low + (high - low) * 2.0**-power for power in range(1, 8)}
            edges.add(low + (high - low) * 2.0**-16)
        if not edges and high > low:
            edges = {(low + high) / 2}
        made.append(BinnedColumn(name, tuple(sorted(edges))))
    if not made:
        raise BadInput(f"hosted lessons need a number, or a category of at most {_MOST_LEVELS} levels")
    return Encoder(tuple(made))


@dataclass(frozen=True, eq=False)
class BinCounts:
    """How many records stand in each bin of each column: the first query.

    Attributes:
        encoder: the columns.
    """

    encoder: Encoder

    @property
    def sizes(self) -> Sizes:
        """A record stands in one bin of each column: sqrt(columns) in L2, on a grid of 2^-10."""
        columns = len(self.encoder.columns)
        return Sizes(
            dimensions=self.encoder.width,
            l1=_GRAIN * columns,
            l2=math.isqrt(_GRAIN**2 * columns - 1) + 1,
            largest_sum=_GRAIN * MOST_ROWS,
        )

    def sums(self, codes: NDArray[np.uint16]) -> Integers:
        """(width,) exact counts on the grid. They never leave."""
        at = codes.astype(np.int64) + self.encoder.offsets[:-1]
        return np.bincount(at.ravel(), minlength=self.encoder.width).astype(np.int64) * _GRAIN

    @staticmethod
    def read(values: Floats) -> Floats:
        return values / _GRAIN


@dataclass(frozen=True, eq=False)
class Gradient:
    """One gradient of the log-likelihood, mixed by a matrix, every record's cut to the cap.

    Attributes:
        scale: of the start model's log odds.
        weights: (width,) of the correction so far.
        matrix: (width, width) whole numbers; row i makes sum i out of the bins that a record stands in.
    """

    scale: float
    weights: Floats
    matrix: NDArray[np.int32]

    def __post_init__(self) -> None:
        width = len(self.weights)
        if self.matrix.shape != (width, width) or self.weights.ndim != 1 or not 0 < width <= MOST_WIDTH:
            raise BadInput(f"a gradient has a square matrix and weights, at most {MOST_WIDTH:,} wide")
        # larger ones could add up to what is no number, and that no cap can cut
        if not (abs(self.scale) <= _MOST_WEIGHT and bool((np.abs(self.weights) <= _MOST_WEIGHT).all())):
            raise BadInput(
                f"a gradient's weights and scale lie between -{_MOST_WEIGHT:g} and {_MOST_WEIGHT:g}"
            )

    @property
    def sizes(self) -> Sizes:
        width = len(self.weights)
        return Sizes(
            dimensions=width, l1=_CAP * (math.isqrt(width - 1) + 1), l2=_CAP, largest_sum=_CAP * MOST_ROWS
        )

    def sums(
        self, columns: Encoder, codes: NDArray[np.uint16], start: Floats, labels: NDArray[Any]
    ) -> Integers:
        """(width,) the exact sum of all records' cut gradients. It never leaves.

        Args:
            codes: (rows, columns).
            start: (rows,) log odds of the start model.
            labels: (rows,) 0 or 1.
        """
        odds = correction(self.scale, self.weights, columns, codes, start)
        rest = labels - chances(odds)
        at = codes.astype(np.int64) + columns.offsets[:-1]
        mix = np.ascontiguousarray(self.matrix.T).astype(np.float64)
        total = np.zeros(len(self.weights), dtype=np.int64)
        for first in range(0, len(codes), _BLOCK):
            block = slice(first, first + _BLOCK)
            rows = np.zeros((len(at[block]), len(self.weights)))
            for column in range(at.shape[1]):
                rows += mix[at[block, column]]
            rows *= rest[block, None]
            length = np.sqrt(np.square(rows).sum(axis=1))
            # a little below the cap, by more than all roundings above together
            rows *= np.minimum(1.0, _CAP * (1 - 1e-9) / np.maximum(length, 1.0))[:, None]
            total += np.trunc(rows).astype(np.int64).sum(axis=0)
        return total

    def to_message(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        parts = {
            "weights": self.weights.astype("<f8").tobytes(),
            "matrix": self.matrix.astype("<i4").tobytes(),
        }
        return {"scale": float(self.scale)}, parts

    @classmethod
    def from_message(cls, body: Mapping[str, Any], parts: Mapping[str, bytes], width: int) -> Self:
        """Read `to_message`'s form.

        Raises:
            BadInput: for anything else, or another width.
        """
        try:
            scale = float(body["scale"])
            weights = np.frombuffer(parts["weights"], dtype="<f8").astype(np.float64)
            matrix = np.frombuffer(parts["matrix"], dtype="<i4").astype(np.int32).reshape(width, width)
        except (KeyError, TypeError, ValueError):
            raise BadInput("a gradient was asked for in a form that cannot be read") from None
        if len(weights) != width:
            raise BadInput("a gradient was asked for with another number of weights than bins")
        return cls(scale, weights, matrix)


def chances(odds: Floats) -> Floats:
    """Probabilities of log odds."""
    return 0.5 * (1.0 + np.tanh(odds / 2.0))


def log_odds(scores: Floats) -> Floats:
    """Log odds of probabilities, between -9 and 9."""
    return np.clip(
        np.log(np.maximum(scores, 1e-12)) - np.log(np.maximum(1 - scores, 1e-12)), -_MOST_ODDS, _MOST_ODDS
    )


def correction(
    scale: float, weights: Floats, columns: Encoder, codes: NDArray[np.uint16], start: Floats
) -> Floats:
    """(rows,) log odds of the corrected model."""
    at = codes.astype(np.int64) + columns.offsets[:-1]
    return np.clip(scale * start + weights[at].sum(axis=1), -700.0, 700.0)


class HostedLearner:
    """The ML party's end: asks the fixed queries, in order, of all providers at once.

    Args:
        columns: the bins, as `public_columns` makes them.
        seeds: (seed rows, columns) codes of the seed rows.
        noise: standard deviation of all providers' noises together, over the sensitivity, of an answer that
            had the whole budget.
    """

    def __init__(self, columns: Encoder, seeds: NDArray[np.uint16], *, noise: float) -> None:
        self.columns = columns
        # the more noise, the more it pays to cut records short
        self._clip = min(_MOST_CLIP, max(_LEAST_CLIP, _CLIP / math.sqrt(noise)))
        self.weights = np.zeros(columns.width)
        self.scale = _SCALE
        self._keep = np.zeros((columns.width, columns.width))
        self._tried, self._tried_noise, self._tried_spread, self._trials = 0.0, 0.0, 0.0, 0
        self._seeds = columns.dense(seeds).astype(np.float64)

    @cached_property
    def _other(self) -> NDArray[np.bool_]:
        """(width, width) whether two bins are of different columns."""
        owner = np.repeat(np.arange(len(self.columns.columns)), self.columns.widths)
        return owner[:, None] != owner[None, :]

    def take_counts(self, counts: Floats) -> None:
        """Lay out the gradients from the bins' noisy counts, summed over providers.

        How often two bins meet is guessed: as in the seed rows for a part, as if columns were independent
        for the rest. A bad guess costs precision, never privacy.
        """
        counts = np.maximum(counts, 1.0)
        self.records = max(counts.sum() / len(self.columns.columns), 1.0)
        part = len(self._seeds) / (len(self._seeds) + _SEED_WEIGHT)
        share = counts / self.records
        seen = self._seeds.T @ self._seeds / max(len(self._seeds), 1)
        moments = np.where(self._other, part * seen + (1 - part) * np.outer(share, share), 0.0)
        moments = self.records * moments + np.diag(counts)
        values, vectors = np.linalg.eigh(moments)
        fisher = _CURVATURE * (vectors * np.maximum(values, 1.0)) @ vectors.T
        values, vectors = np.linalg.eigh(fisher + _PRIOR * np.eye(len(fisher)))
        self._mix = (vectors / np.sqrt(values)) @ vectors.T
        self._fisher = self._mix @ fisher @ self._mix
        self._pull = _PRIOR * self._mix @ self._mix
        reach = self._clip * math.sqrt(len(self.columns.columns) / self.records)
        self._unit = _CAP / reach
        self._matrix = np.clip(np.round(self._mix * self._unit), -(2**30), 2**30).astype(np.int32)

    def question(self) -> Gradient:
        """The next gradient."""
        return Gradient(self.scale, self.weights, self._matrix)

    def step(self, sums: Floats, deviation: float) -> None:
        """Move along an answer, each direction as far as the noise lets it be known.

        Args:
            sums: (width,) the providers' noisy sums, added up.
            deviation: standard deviation of their noise together.
        """
        slope, noise = sums / self._unit, deviation / self._unit
        keep = self._keep = self._fisher @ np.linalg.inv(self._fisher + noise**2 * np.eye(len(slope)))
        held = np.linalg.solve(self._mix, self.weights)
        if held.any():
            self._try(held, slope, noise)
        towards = keep @ slope - self._pull @ held
        curvature = keep @ self._fisher + self._pull
        self.weights = self.weights + self._mix @ np.linalg.solve(curvature, towards)

    def _try(self, held: Floats, slope: Floats, noise: float) -> None:
        """What an answer says of the correction so far, which its noise had no part in."""
        away = (
            held
            - self._level
            @ np.linalg.lstsq(
                self._level.T @ self._fisher @ self._level, self._level.T @ self._fisher @ held, rcond=1e-8
            )[0]
        )
        self._tried += float(slope @ away)
        self._tried_noise += noise**2 * float(away @ away)
        self._tried_spread += math.sqrt(max(float(away @ self._fisher @ away), 0.0))
        self._trials += 1

    @cached_property
    def _level(self) -> Floats:
        """(width, columns) the directions that move all records alike, and no rank."""
        owner = np.repeat(np.arange(len(self.columns.columns)), self.columns.widths)
        same = (owner[:, None] == np.arange(len(self.columns.columns))).astype(np.float64)
        return np.linalg.solve(self._mix, same)

    def fitted(self, positives: float) -> float:
        """How many labels' worth of chance the correction follows: its effective degrees of freedom.

        Args:
            positives: the share of positives, about: labels vary by p (1 - p).
        """
        varied = self._keep @ self._fisher * max(1.0, positives * (1 - positives) / _CURVATURE)
        return float(np.trace(np.linalg.solve(varied + self._pull, varied)))

    def trial(self, positives: float) -> float:
        """By how many standard deviations the answers after the first say that the correction helps.

        The slope along the correction, at the correction, is at most what it has gained in log-likelihood,
        which is concave; each answer's noise is independent of the correction that it is asked at. Directions
        that move all records alike are taken out, and what it gained by following chance (`fitted`).
        """
        size = math.hypot(math.sqrt(self._tried_noise), self._tried_spread)
        return (self._tried - self._trials * self.fitted(positives)) / size if size > 0 else -math.inf

    def keep_start(self) -> None:
        """Take all that was learned back: the start stands."""
        self.scale, self.weights = _SCALE, np.zeros(self.columns.width)

    def scores(self, table: Table, start: Floats) -> Floats:
        """(rows,) chances by the corrected model; `start` are the start model's scores."""
        codes = self.columns.codes(table)
        return chances(correction(self.scale, self.weights, self.columns, codes, log_odds(start)))
