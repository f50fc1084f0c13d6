"""Design: the ML party's side of one lesson. It asks one query and turns the answer into a correction.

A start scores every record; the correction is an additive model on the columns' bins. The design draws up
the query (`request`) from public facts: bins, start, noise. `learn` fits the correction to the noisy answer
(`solve`). The provider gets the request, checks and shortens its rows by itself (`request.ScoreStatistics`).

Several validators may answer about their own records: their sums and the variances of their noise add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import UsageError
from comity.validate.bins import Columns
from comity.validate.blocks import Blocks
from comity.validate.prior import Prior, assembled, score_codes, starting_variance, told
from comity.validate.request import WEIGHT_BITS, ScoreStatistics
from comity.validate.solve import Heard, corrected
from comity.validate.terms import Terms
from comity.validate.whiten import best_mix, expected_information

Floats = NDArray[np.float64]

_CAP_BITS: Final = 18


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
    _blocks: Blocks
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
        blocks = Blocks.of(columns, holder, minimum)
        coded, roots = blocks.codes(columns), list(blocks.roots)
        said: list[Floats] = []
        if coded:
            together = Terms(np.stack(coded, axis=1), tuple(len(root) for root in roots))
            said = told(together, roots, scores)
        coded.append(np.zeros(records, dtype=np.uint16))
        roots.append(np.ones((1, 1)))
        line = _score_column(scores, coded, roots, holder, minimum)
        variance = starting_variance(records * float(_information(scores).mean()) / noise**2)
        prior = assembled(roots, said, blocks.shares, variance, start=line is not None)
        codes = np.asfortranarray(np.stack(coded, axis=1))
        widths = tuple(len(root) for root in roots)
        terms = Terms(codes, widths)
        mix = best_mix(terms, prior, expected_information(scores, prior, terms), noise)
        request = mix.question(codes, widths, _CAP_BITS)
        return cls(request, noise, terms, prior, scores, blocks, line)

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
        constant, slope = float(parts[len(self._blocks.kept)][0]), 0.0
        if self._score_line is not None:
            # the score's bins got multiples of their standardised mean score: read the line off
            middle, spread = self._score_line
            steepness = _steepness(parts[-1], self._prior.root[-len(parts[-1]) :])
            slope, constant = steepness / spread, constant - steepness * middle / spread
        return Correction(self._blocks.by_code(parts), constant, slope)


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
