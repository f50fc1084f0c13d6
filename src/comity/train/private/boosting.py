"""PrivateBoostedTrees: small trees over one column each (or a declared pair), in turn, on noisy sums.

As the explainable boosting machine with noise of Nori et al. 2021 (DP-EBM): every tree sees one column, the
columns take turns for a fixed number of rounds, and a leaf's step is a noisy sum of gradients over a noisy
number of records, counted once. Three things differ. Gradients are those of `gradients`, which noise harms
less. A tree's cuts are a fixed public pattern: leaves of several bins, coarse and fine in turn and shifted
from round to round, so that noise is drawn per leaf and what is averaged over rounds is smooth. And the model
is the mean of the later rounds, not the last one.

All sums together are one Gaussian mechanism: a record is in one leaf of every tree and adds at most 1 to it.

Shares and ridge are those of `descent`; rounds, rate and bins were chosen on the same records, none of which
bench/private.py measures on (half or twice as many rounds, rates from .25 to .5: within .004 at epsilon .1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.data.encode import BinnedColumn
from comity.errors import UsageError
from comity.mechanism import Calibrated, Sums, gaussian
from comity.train.private.additive import Additive, Schedule
from comity.train.private.columns import Codes, Columns
from comity.train.private.descent import consistent
from comity.train.private.estimator import PrivateClassifier
from comity.train.private.gradients import (
    RESIDUAL_BITS,
    Blocks,
    Floats,
    Integers,
    clipped_gradient_sum,
    residuals,
    summed_by_code,
)

ROUNDS: Final = 20
MOST_CELLS: Final = 100_000
_COUNTS_SHARE: Final = 0.04
_WARM: Final = 0.25
_WARM_SHARE: Final = 0.10
_RATE: Final = 0.35
_CURVATURE: Final = 0.25
_RIDGE: Final = 0.7
_LEAST_RIDGE: Final = 0.25
_GOLDEN: Final = (math.sqrt(5) - 1) / 2
_UNIT: Final = 1 << RESIDUAL_BITS


@dataclass(frozen=True)
class Boosting:
    """What a fit releases: numbers of records by code, then one vector of leaf sums per tree.

    Attributes:
        columns: as declared.
        pairs: places of columns whose codes are taken together too.
        rounds: how many trees each column and each pair gets.
        calibrated: noise of the counts, of a tree in the first rounds and of a later one.
    """

    columns: Columns
    pairs: tuple[tuple[int, int], ...]
    rounds: int
    calibrated: Calibrated

    @classmethod
    def drawn_up(
        cls, columns: Columns, pairs: tuple[tuple[int, int], ...], rounds: int, epsilon: float, delta: float
    ) -> Boosting:
        """Calibrate counts and trees together.

        Raises:
            UsageError: if delta is too small for them, or pairs have too many cells.
        """
        blocks = _blocks(columns, pairs)
        if blocks.dimensions > MOST_CELLS:
            raise UsageError(
                f"columns and pairs have {blocks.dimensions:,} cells together, at most {MOST_CELLS:,} are "
                "fitted: declare fewer pairs or bins"
            )
        warm = max(1, math.floor(rounds * _WARM))
        later = max(1, rounds - warm)
        trees, rest = len(blocks.widths), 1 - _COUNTS_SHARE
        widest = max(blocks.widths)
        releases = (
            Sums(blocks.dimensions, blocks.l2, _UNIT, _COUNTS_SHARE),
            Sums(widest, _UNIT, _UNIT, rest * _WARM_SHARE / (warm * trees), warm * trees),
            Sums(widest, _UNIT, _UNIT, rest * (1 - _WARM_SHARE) / (later * trees), later * trees),
        )
        return cls(columns, pairs, warm + later, gaussian(releases, epsilon, delta))

    @property
    def warm(self) -> int:
        """How many of the rounds come before the averaging."""
        return max(1, math.floor(self.rounds * _WARM))

    @cached_property
    def blocks(self) -> Blocks:
        return _blocks(self.columns, self.pairs)

    @cached_property
    def ridge(self) -> float:
        noise = self.calibrated.multiplier * math.sqrt(len(self.blocks.widths) / (1 - _COUNTS_SHARE))
        # a ridge in records: as of `descent`, whose rows have length 1 over all columns
        return max(_RIDGE * noise * math.sqrt(len(self.blocks.widths)), _LEAST_RIDGE)

    def fit(self, codes: Codes, positive: NDArray[np.bool_]) -> Additive:
        """Read (n, columns) fine codes and (n,) labels, and boost."""
        blocks = self.blocks
        of_counts, of_first, of_later = self.calibrated.noises
        rows = np.column_stack([codes, *(self._joint(codes, pair) for pair in self.pairs)]).astype(np.int64)
        every = np.full(len(rows), _UNIT, dtype=np.int64)
        shares, records = consistent(
            of_counts.answer(clipped_gradient_sum(rows, blocks, every)) / _UNIT, blocks
        )
        counts = np.split(shares * records, blocks.offsets[1:-1])
        effects = [np.zeros(width) for width in blocks.widths]
        total = [np.zeros(width) for width in blocks.widths]
        scores = np.zeros(len(rows))
        for number in range(self.rounds):
            noise = of_first if number < self.warm else of_later
            for at in range(len(effects)):
                leaf = self._leaves(at, number)
                residual = residuals(scores, positive)
                sums = noise.answer(summed_by_code(leaf[rows[:, at]], residual, int(leaf.max()) + 1)) / _UNIT
                step = self._step(leaf, sums, counts[at], effects[at])
                effects[at] = effects[at] + step
                scores += step[rows[:, at]]
                if number >= self.warm:
                    total[at] += effects[at]
        mean = [each / (self.rounds - self.warm) for each in total]
        single = len(self.columns.names)
        tables = {pair: self._table(pair, mean[single + at]) for at, pair in enumerate(self.pairs)}
        return Additive(tuple(mean[:single]), records, tables)

    def _step(self, leaf: Integers, sums: Floats, counts: Floats, effects: Floats) -> Floats:
        """(width,) what every code's effect moves by: its leaf's step, against gradient and ridge."""
        held = np.bincount(leaf, weights=counts)
        mean = np.bincount(leaf, weights=counts * effects) / np.maximum(held, 1e-9)
        return (-_RATE * (sums + self.ridge * mean) / (_CURVATURE * held + self.ridge))[leaf]

    def _leaves(self, at: int, number: int) -> Integers:
        """(width,) the leaf of each code in the tree of that round; 0 is the missing value's."""
        width = self.blocks.widths[at]
        codes = np.arange(width, dtype=np.int64)
        column = self.columns.encoder.columns[at] if at < len(self.columns.names) else None
        if not isinstance(column, BinnedColumn) or width < 8:
            return codes
        size = (max(2, width // 4), max(2, width // 8), 2, 1)[number % 4]
        shift = int(size * ((number * _GOLDEN) % 1.0))
        leaf = np.where(codes == 0, 0, (codes - 1 + shift) // size + 1)
        return np.unique(leaf, return_inverse=True)[1].astype(np.int64)

    def _joint(self, codes: Codes, pair: tuple[int, int]) -> NDArray[Any]:
        (one, first), (other, second) = (self._shortened(at) for at in pair)
        return first[codes[:, one]] * (int(second.max()) + 1) + second[codes[:, other]]

    def _table(self, pair: tuple[int, int], effects: Floats) -> Floats:
        """Effects of a pair's cells, by fine codes of both columns."""
        (_, first), (_, second) = (self._shortened(at) for at in pair)
        return effects.reshape(int(first.max()) + 1, int(second.max()) + 1)[np.ix_(first, second)]

    def _shortened(self, at: int) -> tuple[int, Integers]:
        return at, _coarse(self.columns)[at]


def _coarse(columns: Columns) -> list[Integers]:
    """For each column, what its fine codes are in a pair: coarse bins, and levels as they are."""
    to = dict(columns.coarse)
    return [to.get(at, np.arange(width, dtype=np.int64)) for at, width in enumerate(columns.fine.widths)]


def _blocks(columns: Columns, pairs: Sequence[tuple[int, int]]) -> Blocks:
    widths = [int(to.max()) + 1 for to in _coarse(columns)]
    joint = [widths[one] * widths[other] for one, other in pairs]
    return Blocks((*columns.fine.widths, *joint), (1,) * (len(widths) + len(joint)))


class PrivateBoostedTrees(PrivateClassifier):
    """Additive boosted trees, (epsilon, delta)-private for one record more or less.

    Args:
        epsilon, delta, bounds, categories, classes: as `PrivateLogisticRegression`.
        bins: of each number.
        rounds: trees per column; noise is averaged over them.
        pairs: names of two columns each, whose values are looked at together too: [("age", "education")].
            Declared, not found: to look for them in the data costs privacy.

    Attributes:
        as `PrivateLogisticRegression`.
    """

    def __init__(
        self,
        epsilon: float = 1.0,
        delta: float = 1e-6,
        *,
        bounds: Any = None,
        categories: Any = None,
        classes: Any = None,
        bins: int = 18,
        rounds: int = ROUNDS,
        pairs: Any = (),
    ) -> None:
        self.epsilon = epsilon
        self.delta = delta
        self.bounds = bounds
        self.categories = categories
        self.classes = classes
        self.bins = bins
        self.rounds = rounds
        self.pairs = pairs

    def _drawn_up(self, columns: Columns, epsilon: float, delta: float) -> Schedule:
        if not isinstance(self.rounds, int | np.integer) or not 2 <= self.rounds <= 1_000:
            raise UsageError(f"rounds is a whole number from 2 to 1,000, not {self.rounds!r}")
        return Boosting.drawn_up(columns, self._places(columns), int(self.rounds), epsilon, delta)

    def _places(self, columns: Columns) -> tuple[tuple[int, int], ...]:
        places: list[tuple[int, int]] = []
        pairs = list(self.pairs) if isinstance(self.pairs, Sequence) else [self.pairs]
        for pair in pairs:
            if not isinstance(pair, tuple | list):
                raise UsageError(f"pairs are a list of two columns each, as [('age', 'ward')], not {pair!r}")
            named = [f"x{one}" if isinstance(one, int | np.integer) else str(one) for one in pair]
            if len(named) != 2 or named[0] == named[1] or not set(named) <= set(columns.names):
                raise UsageError(f"pairs are two different columns each, and {tuple(pair)} are not")
            one, other = sorted(columns.names.index(name) for name in named)
            places.append((one, other))
        if len(set(places)) != len(places):
            raise UsageError("pairs name one twice")
        return tuple(places)
