"""Estimates: from the noisy base statistics of one answer to numbers with intervals.

Base statistics are noised once, together, and everything is derived from them. They tell of each other (the
labels of all bins add up to the number of positives; a group's classes add up to its size), so they are first
moved to the nearest consistent ones, by their variances. What is estimated is the metric on the labels that
the validator holds: an interval speaks of the noise alone.

Intervals of ratios are Fieller's (1954): all values that the noise does not refute at 5%.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.validate.mechanism import NoisySums
from comity.validate.queries import Joined, Query

Floats = NDArray[np.float64]
Interval = tuple[float, float]

SHARE: Final[Interval] = (0.0, 1.0)
Z: Final = 1.959963984540054
"""How many standard deviations hold 95% of Gaussian noise."""
_DRAWS: Final = 8_192
_TIMES: Final = 400
_LONGEST: Final = 40.0
_LENGTH: Final = 1 << 16
_ROWS: Final = 1 << 8


@dataclass(frozen=True, eq=False)
class Tie:
    """What is publicly known of base statistics: a weighted sum of theirs.

    Attributes:
        weights: by statistic, one number per value of it.
        total: what they add up to.
    """

    weights: Mapping[str, Sequence[float] | Floats]
    total: float = 0.0


@dataclass(frozen=True, eq=False)
class Base:
    """Consistent base statistics.

    Attributes:
        values: (d,); in `many.Bases`, which reads many groups at once, (d, groups).
        covariance: (d, d); places: where each named statistic stands.
        mixing: (d, d) how independent noises of variance 1 make up the values' noise.
        law: of those noises, `gaussian` or `laplace`.
        facts: the question's.
        laplace: (d,) scale of each value's own discrete Laplace noise and (d,) the step it moves in, where
            nothing was moved; else None.
    """

    values: Floats
    covariance: Floats
    places: Mapping[str, slice]
    mixing: Floats
    law: str
    facts: Mapping[str, Any]
    laplace: tuple[float, Floats] | None = None

    def form(self, name: str, weights: Sequence[float] | Floats | float = 1.0) -> Floats:
        """(d,) a linear form: weights on one statistic's values."""
        form = np.zeros(len(self.values))
        form[self.places[name]] = weights
        return form

    def cell(self, name: str, at: int) -> Floats:
        """(d,) the form of one value of a statistic."""
        form = np.zeros(len(self.values))
        form[self.places[name].start + at] = 1.0
        return form

    def deviation(self, form: Floats) -> float:
        """Standard deviation of a form's noise."""
        return math.sqrt(max(float(form @ self.covariance @ form), 0.0))

    def z(self, form: Floats) -> float:
        """How many standard deviations hold 95% of the form's noise."""
        return Z if self.law == "gaussian" else laplace_z(form @ self.mixing)

    def draws(self, place: slice) -> Floats:
        """(draws, values) simulated noise of some of the values, always the same for the same noise."""
        mixing = self.mixing[place]
        if self.law == "gaussian":
            scales, turn = np.linalg.eigh(self.covariance[place, place])
            mixing = turn * np.sqrt(np.maximum(scales, 0.0))
        used = mixing[:, mixing.any(axis=0)]
        return unit_draws(self.law, used.shape[1]) @ used.T

    def linear(self, form: Floats, shift: float, scale: float, bounds: Interval = SHARE) -> Any:
        """Estimate and interval of (form of the values + shift) / scale; None for a scale of 0."""
        if scale == 0:
            return None, None
        centre = float(form @ self.values) + shift
        below, above = self.reach(form)
        interval = clipped(((centre - below) / scale, (centre + above) / scale), bounds)
        return min(max(centre / scale, bounds[0]), bounds[1]), interval

    def ratio(
        self, top: Floats, bottom: Floats, shift: float = 0.0, bounds: Interval = SHARE, added: float = 0.0
    ) -> Any:
        """Estimate and interval of (top + added) / (bottom + shift)."""
        a, b = float(top @ self.values) + added, float(bottom @ self.values) + shift
        guess = min(max(a / b, bounds[0]), bounds[1]) if b > 0 else middle(bounds)
        return guess, fieller(a, b, self.pieces(top, bottom), self.z(top - guess * bottom), bounds)

    def pieces(self, top: Floats, bottom: Floats) -> tuple[float, float, float]:
        """Variance of one form's noise, covariance with another's, variance of that."""
        cov = self.covariance
        return float(top @ cov @ top), float(top @ cov @ bottom), float(bottom @ cov @ bottom)

    def reach(self, form: Floats) -> Interval:
        """How far the truth may lie below and above a form's value."""
        only = np.flatnonzero(form)
        if self.laplace is not None and len(only) == 1:
            scale, steps = self.laplace
            step = float(steps[only[0]] * form[only[0]])
            below, above = laplace_range(scale)
            return (above * step, -below * step) if step > 0 else (below * step, -above * step)
        half = self.z(form) * self.deviation(form)
        return half, half


Reader = Callable[[Base], Any]


@dataclass(frozen=True, eq=False)
class Question:
    """One query for several metrics, and how to read its answer.

    Attributes:
        query: what the validator is asked.
        names: the base statistics in it, in order.
        metrics: what is wanted.
        readers: by metric.
        facts: public facts about the groups (sizes, edges, mean scores).
        ties: what is known of the statistics beforehand.
    """

    query: Joined
    names: tuple[str, ...]
    metrics: tuple[str, ...]
    readers: Mapping[str, Reader]
    facts: Mapping[str, Any] = field(default_factory=dict)
    ties: tuple[Tie, ...] = ()

    def read(self, answer: NoisySums) -> tuple[dict[str, Any], dict[str, Any]]:
        """Estimates and 95% intervals by metric; None where a metric is not defined."""
        base = consistent(self, answer)
        estimates: dict[str, Any] = {}
        intervals: dict[str, Any] = {}
        for metric in self.metrics:
            estimates[metric], intervals[metric] = self.readers[metric](base)
        return estimates, intervals


@dataclass(frozen=True, eq=False)
class Part:
    """One base statistic of a question: its name, its query, and its weight beside the others."""

    name: str
    query: Query
    share: float = 1.0


def joined(parts: Sequence[Part], length: int | None = None) -> Joined:
    """Every statistic gets the same length, so that none is drowned by another's noise.

    Args:
        length: of each; None: as short as resolves the longest to 1 in 16.
    """
    if len(parts) == 1 and length is None:
        return Joined((parts[0].query,), (1,))
    wanted = common_length(parts) if length is None else length
    factors = tuple(max(1, round(part.share * wanted / math.sqrt(part.query.l2_squared))) for part in parts)
    return Joined(tuple(part.query for part in parts), factors)


def common_length(parts: Sequence[Part]) -> int:
    """The length that `joined` gives statistics by itself."""
    return max(_LENGTH, *(16 * part.query.l2 for part in parts))


def consistent(question: Question, answer: NoisySums) -> Base:
    """The nearest statistics, by their variances, that keep the ties.

    Args:
        answer: with (dimensions,) values; or (dimensions, groups), where the ties add up to the same in all.
    """
    pieces = question.query.split(answer.values)
    places: dict[str, slice] = {}
    start = 0
    for name, piece in zip(question.names, pieces, strict=True):
        places[name] = slice(start, start + len(piece))
        start += len(piece)
    values = np.concatenate(pieces)
    steps = np.concatenate(
        [np.full(len(piece), 1 / f) for piece, f in zip(pieces, question.query.factors, strict=True)]
    )
    deviations = answer.deviation * steps
    keep = np.eye(start)
    if question.ties:
        rows = np.zeros((len(question.ties), start))
        for at, tie in enumerate(question.ties):
            for name, weights in tie.weights.items():
                rows[at, places[name]] = weights
        spread = np.square(deviations)[:, None] * rows.T
        # ties may follow from each other, hence the pseudo-inverse
        back = spread @ np.linalg.pinv(rows @ spread, hermitian=True)
        keep -= back @ rows
        totals = back @ np.array([tie.total for tie in question.ties])
        values = keep @ values + totals.reshape(-1, *[1] * (values.ndim - 1))
    covariance = (keep * np.square(deviations)) @ keep.T
    mixing, law = keep * deviations, answer.calibration.law
    own = None
    if law == "laplace" and not question.ties:
        own = math.ldexp(answer.calibration.scale, -answer.calibration.shift), steps
    return Base(values, covariance, places, mixing, law, question.facts, own)


@lru_cache(maxsize=4)
def unit_draws(law: str, count: int) -> Floats:
    """(draws, count) independent noises of variance 1, each with its opposite.

    Reading an answer needs no secret randomness: they only tell how wide the noise is that was added.
    """
    rng = np.random.default_rng(0)
    shape = (_DRAWS // 2, count)
    half = rng.standard_normal(shape) if law == "gaussian" else rng.laplace(size=shape) / math.sqrt(2.0)
    drawn = np.concatenate([half, -half])
    drawn /= drawn.std(axis=0)
    drawn.setflags(write=False)
    return drawn


def laplace_z(weights: Floats) -> float:
    """How many standard deviations hold 95% of a weighted sum of independent Laplace noises."""
    return float(laplace_zs(weights[None, weights != 0])[0])


def laplace_zs(weights: Floats) -> Floats:
    """(rows,) `laplace_z` of each of (rows, noises) weights."""
    squares = np.square(weights)
    sums = squares.sum(axis=1)
    shares = squares / np.where(sums > 0, sums, 1.0)[:, None]
    found = np.where(sums > 0, -math.log(0.05) / math.sqrt(2.0), Z)
    mixed = np.flatnonzero((sums > 0) & (shares.max(axis=1, initial=0.0) <= 1 - 1e-9))
    for start in range(0, len(mixed), _ROWS):
        some = mixed[start : start + _ROWS]
        found[some] = _mixed_z(shares[some])
    return found


def _mixed_z(shares: Floats) -> Floats:
    """(rows,) from (rows, noises) shares of the variance.

    A sum's characteristic function is the product of 1 / (1 + w^2 t^2 / 2), and the chance of an absolute
    value of x or less is 2 / pi times the integral of that times sin(x t) / t over t > 0 (Gil-Pelaez 1951).
    """
    times = (np.arange(_TIMES) + 0.5) * (_LONGEST / _TIMES)
    waves = np.exp(-np.log1p(0.5 * shares[:, :, None] * np.square(times)).sum(axis=1))
    waves *= 2 / math.pi * _LONGEST / _TIMES
    x = np.full(len(shares), Z)
    for _ in range(4):  # Newton: the chance is nearly straight there
        turned = x[:, None] * times
        missing = 0.95 - (waves * np.sin(turned) / times).sum(axis=1)
        x += missing / (waves * np.cos(turned)).sum(axis=1)
    return x


@lru_cache(maxsize=256)
def laplace_range(scale: float) -> tuple[int, int]:
    """The narrowest whole numbers (low, high) that hold at least 95% of discrete Laplace noise.

    One step narrower than a symmetric range where that suffices: at scale 1, -3 to 2 hold 95.02%.
    """
    q = math.exp(-1 / scale)

    def beyond(size: int) -> float:
        """The chance of noise above `size`."""
        return q ** (size + 1) / (1 + q)

    high = 0
    while beyond(high) * 2 > 0.05:
        high += max(1, int(scale) // 64)
    while high > 0 and beyond(high - 1) * 2 <= 0.05:
        high -= 1
    if high > 0 and beyond(high) + beyond(high - 1) <= 0.05:
        return -high, high - 1
    return -high, high


def fieller(a: float, b: float, pieces: tuple[float, float, float], z: float, bounds: Interval) -> Interval:
    """All u within the bounds with |a - u b| at most z standard deviations of its noise.

    Args:
        pieces: variance of a, covariance, variance of b.
    """
    top, both, bottom = pieces
    square, linear, constant = b * b - z * z * bottom, a * b - z * z * both, a * a - z * z * top
    if square <= 0 or b <= 0:
        return bounds
    root = math.sqrt(max(linear * linear - square * constant, 0.0))
    return clipped(((linear - root) / square, (linear + root) / square), bounds)


def middle(bounds: Interval) -> float:
    """What is guessed where nothing is known."""
    return 0.5 * (bounds[0] + bounds[1]) if math.isfinite(sum(bounds)) else bounds[0]


def clipped(interval: Interval, bounds: Interval) -> Interval:
    """The interval, held within the bounds."""
    low, high = (min(max(end, bounds[0]), bounds[1]) for end in interval)
    return low, high
