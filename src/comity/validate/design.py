"""Design: the ML party's side of one lesson. It asks one query and turns the answer into a correction.

A start scores every record; the correction is an additive model on the columns' bins. The design draws up
the query (`request`) from public facts: bins, start, noise. `learn` fits the correction to the noisy answer
(`solve`). The provider gets the request, checks and shortens its rows by itself (`request.ScoreStatistics`).

Several validators may answer about their own records: their sums and the variances of their noise add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import UsageError
from comity.validate.bins import Columns, merge_small
from comity.validate.prior import (
    Prior,
    assembled,
    column_root,
    score_codes,
    starting_variance,
    told,
)
from comity.validate.request import MIX_LIMIT, WEIGHT_BITS, ScoreStatistics
from comity.validate.solve import Heard, corrected
from comity.validate.terms import Terms
from comity.validate.whiten import Mix, best_mix, expected_information

Floats = NDArray[np.float64]

_CAP_BITS: Final = 18
_LONGEST: Final = 8.0
"""No bin's mix is longer than this many caps: records in it are shortened anyway."""


@dataclass(frozen=True, eq=False)
class Correction:
    """What is added to the start's score, by code.

    Attributes:
        values: for each column, (width,) what each code adds.
        constant: what every record gets.
        slope: what one unit of the start's score adds.
    """

    values: tuple[Floats, ...]
    constant: float
    slope: float

    def scores(self, columns: Columns, start: Floats) -> Floats:
        """(records,) corrected scores (log odds) of records with these codes and start scores.

        Args:
            columns: coded as the design's were.
            start: (records,) the start's scores.
        """
        total = tempered(start) * (1 + self.slope) + self.constant
        for at, values in enumerate(self.values):
            total += values[columns.codes[:, at]]
        return total


@dataclass(frozen=True, eq=False)
class Design:
    """One lesson: what is asked, and what is needed to read the answer.

    Attributes:
        request: the query about all records; `request.of(rows)` for one validator's.
        noise: standard deviation of all validators' noise together, over one row's largest length.
    """

    request: ScoreStatistics
    noise: float
    _terms: Terms
    _prior: Prior
    _start: Floats
    _groups: tuple[NDArray[np.int64], ...]
    _kept: tuple[int, ...]
    _score_line: tuple[float, float] | None

    @classmethod
    def draw_up(
        cls,
        columns: Columns,
        start: Floats,
        *,
        noise: float,
        holders: NDArray[np.int64] | None = None,
        minimum: int = 10,
    ) -> Design:
        """Choose the query from public facts.

        Args:
            columns: the codes of all records.
            start: (records,) the start's scores (log odds of label 1).
            noise: standard deviation of the noise over the sensitivity; with several validators, the root
                of the sum of squares of theirs.
            holders: (records,) which validator holds each record, from 0 on; None: one holds all.
            minimum: no bin that is asked about has fewer records, at any validator, unless none.

        Raises:
            UsageError: if there are no records, or scores are not finite.
        """
        records = len(columns.codes)
        scores = tempered(np.asarray(start, dtype=np.float64))
        if records == 0 or scores.shape != (records,) or not np.isfinite(scores).all():
            raise UsageError("a design needs a finite start score for each of one or more records")
        holder = np.zeros(records, dtype=np.int64) if holders is None else np.asarray(holders)
        counts = _counts(columns, holder)
        groups = merge_small(columns, counts, minimum)
        kept = tuple(at for at, group in enumerate(groups) if group.max(initial=0) > 0)
        coded = [groups[at][columns.codes[:, at]].astype(np.uint16) for at in kept]
        part = [_shares(groups[at], counts[at]) for at in kept]
        roots = [
            column_root(share, columns.ordered[at], _missing(groups[at], counts[at]))
            for share, at in zip(part, kept, strict=True)
        ]
        said: list[Floats] = []
        if kept:
            together = Terms(np.stack(coded, axis=1), tuple(len(root) for root in roots))
            said = told(together, roots, scores)
        coded.append(np.zeros(records, dtype=np.uint16))
        roots.append(np.ones((1, 1)))
        line = _score_column(scores, coded, roots, holder, minimum)
        variance = starting_variance(records * float(_information(scores).mean()) / noise**2)
        prior = assembled(roots, said, part, variance, start=line is not None)
        codes = np.asfortranarray(np.stack(coded, axis=1))
        widths = tuple(len(root) for root in roots)
        terms = Terms(codes, widths)
        mix = best_mix(terms, prior, expected_information(scores, prior, terms), noise)
        request = _whole(codes, widths, mix)
        return cls(request, noise, terms, prior, scores, tuple(groups), kept, line)

    def learn(self, sums: Floats, deviation: float) -> Correction:
        """The correction that the answer suggests, shrunk to none as far as the noise demands.

        Args:
            sums: (dimensions,) the validators' noisy sums, added up.
            deviation: standard deviation of the noise in each of them.
        """
        unit = float(self.request.l2)
        heard = Heard(
            mix=self.request.mix.astype(np.float64) / self.request.cap,
            weights=self.request.weights / float(1 << WEIGHT_BITS),
            sums=np.asarray(sums, dtype=np.float64) / unit,
            deviation=deviation / unit,
        )
        return self._by_code(corrected(self._terms, self._prior, self._start, heard))

    def _by_code(self, values: Floats) -> Correction:
        """Values per group of codes, as values per code of every column."""
        parts = np.split(values, self._terms.offsets[1:-1])
        by_column = [np.zeros(len(group)) for group in self._groups]
        for at, part in zip(self._kept, parts, strict=False):
            by_column[at] = part[self._groups[at]]
        constant, slope = float(parts[len(self._kept)][0]), 0.0
        if self._score_line is not None:
            # the score's bins got multiples of their standardised mean score: read the line off
            middle, spread = self._score_line
            steepness = _steepness(parts[-1], self._prior.root[-len(parts[-1]) :])
            slope, constant = steepness / spread, constant - steepness * middle / spread
        return Correction(tuple(by_column), constant, slope)


def tempered(scores: Floats) -> Floats:
    """Scores with their far ends pulled in: beyond 4 they grow like a logarithm. The order stays.

    A start that is sure beyond 1 in 50 is rarely right to be, and information near such scores vanishes.
    """
    scores = np.asarray(scores, dtype=np.float64)
    size = np.abs(scores)
    return np.where(size <= 4, scores, np.sign(scores) * (4 + np.log1p(np.maximum(size - 4, 0))))


def _information(scores: Floats) -> Floats:
    chance = 1.0 / (1.0 + np.exp(-scores))
    return chance * (1 - chance)


def _counts(columns: Columns, holder: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """For each column, (validators, width) records per code."""
    held = int(holder.max(initial=0)) + 1
    return [
        np.bincount(holder * width + columns.codes[:, at], minlength=held * width).reshape(held, width)
        for at, width in enumerate(columns.widths)
    ]


def _shares(group: NDArray[np.int64], counts: NDArray[np.int64]) -> Floats:
    totals = np.bincount(group, weights=counts.sum(axis=0))
    return totals / totals.sum()


def _missing(group: NDArray[np.int64], counts: NDArray[np.int64]) -> int | None:
    """The group that missing values have to themselves, if they have one."""
    present = counts.sum(axis=0) > 0
    together = present & (group == group[0])
    return int(group[0]) if present[0] and together.sum() == 1 else None


def _score_column(
    scores: Floats,
    coded: list[NDArray[np.uint16]],
    roots: list[Floats],
    holder: NDArray[np.int64],
    minimum: int,
) -> tuple[float, float] | None:
    """Add the start's own scale as a column of score bins; its line, or None where the start says nothing."""
    codes, width, place = score_codes(scores)
    counts = np.bincount(holder * width + codes, minlength=(int(holder.max()) + 1) * width)
    small = ((counts > 0) & (counts < minimum)).any()
    if width < 2 or small or not place.any():
        return None
    coded.append(codes)
    roots.append(place[:, None])
    means = np.bincount(codes, weights=scores) / np.bincount(codes)
    share = np.bincount(codes) / len(codes)
    middle = float(share @ means)
    return middle, float(np.sqrt(share @ np.square(means - middle)))


def _steepness(values: Floats, root: Floats) -> float:
    """How many times the line in `root` (its last column) the values are."""
    line = root[:, -1]
    return float(values @ line / (line @ line))


def _whole(codes: NDArray[np.uint16], widths: Sequence[int], chosen: Mix) -> ScoreStatistics:
    """The mix in whole numbers, the cap about 2^18 where the longest entries allow."""
    length = np.linalg.norm(chosen.mix, axis=1)
    mix = chosen.mix * np.minimum(1.0, _LONGEST * chosen.cap / np.maximum(length, 1e-300))[:, None]
    offsets = np.concatenate([[0], np.cumsum(widths)])[:-1]
    longest = float(np.maximum.reduceat(np.linalg.norm(mix, axis=1), offsets).sum())
    largest = float(np.abs(mix).max(initial=0.0))
    scale = min(
        2.0**_CAP_BITS / chosen.cap,
        (MIX_LIMIT - 1) / max(largest, 1e-300),
        2.0**29 / max(longest, 1e-300),
    )
    whole = np.trunc(mix * scale).astype(np.int32)
    return ScoreStatistics(codes, tuple(widths), whole, max(1, int(chosen.cap * scale)))
