"""The purse: what (epsilon, delta) buys, and everything that is bought with it.

Inside one synthetic table the price of a look is its mu: a mechanism is mu-GDP if telling two neighbouring
tables apart by it is as hard as telling N(0, 1) from N(mu, 1) (Dong, Roth and Su 2022). Looks whose mu is
chosen from earlier answers are together sqrt(sum mu^2)-GDP as long as that sum stays within what was fixed
before (Smith and Thakurta 2022). So the purse holds a sum of squares, and lets nothing be bought past it:

* Gaussian noise of scale sigma on counts that one unit moves by D in L2 norm: mu = D / sigma.
* The exponential mechanism: its log-probabilities move within a range of epsilon, so that of all pairs of
  neighbours the easiest to tell apart are two coins whose log-odds differ by epsilon, and those are as hard
  as N(0, 1) and N(mu, 1) with mu = 2 probit(1 / (1 + exp(-epsilon/2))) <= epsilon sqrt(pi / 8): the logistic
  function's log-odds grow by at least sqrt(8 / pi) for each unit of probit, least where they are 0 (van Zwet
  1964). The bound on the right is what is paid.

The whole is (epsilon, delta)-private by the analytic Gaussian (Balle and Wang 2018) at 1 / mu. Counts are
whole numbers on a grid so fine that discrete noise costs next to nothing (`noise.discretisation_delta`); that
part of delta is taken out first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from comity import noise
from comity.errors import BudgetRefused, UsageError
from comity.ledger import gaussian_noise_multiplier
from comity.mechanism import LARGEST_EPSILON, Noise, grid_shift
from comity.noise_choice import choose

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FINE_BITS = 36
_MOST_COUNTS = 1 << 31
"""More counts than are ever bought from one purse: what the grid's share of delta is worked out for."""
_SCORE_BITS = 10


@dataclass(frozen=True, eq=False)
class Noisy:
    """Counts with noise.

    Attributes:
        values: the counts' shape, floats; negative ones are left as they are.
        sigma: standard deviation of each one's noise, in rows.
    """

    values: NDArray[np.float64]
    sigma: float


class Purse:
    """A budget that looks at one table are paid from.

    Args:
        epsilon: of the whole, above 0, in nats. delta: above 0, below 1.
        rows_per_unit: how many rows one unit (record or person) can have in the table.

    Raises:
        UsageError: for other values, or if delta is too small for the grid.
    """

    def __init__(self, epsilon: float, delta: float, *, rows_per_unit: int = 1) -> None:
        if not (math.isfinite(epsilon) and epsilon > 0):
            raise UsageError(f"epsilon must be above 0 and finite, not {epsilon}")
        if not 0 < delta < 1:
            raise UsageError(f"a synthetic table takes a delta above 0 and below 1, not {delta}")
        if rows_per_unit < 1:
            raise UsageError(f"a unit has 1 row or more, not {rows_per_unit}")
        usable = min(epsilon, LARGEST_EPSILON)
        grid = noise.discretisation_delta(math.ldexp(1.0, _FINE_BITS), _MOST_COUNTS, usable)
        if grid > delta / 2:
            raise UsageError(
                f"delta {delta:g} is too small for noise on whole numbers; the least is {2 * grid:.2g}"
            )
        self._rows_per_unit = rows_per_unit
        self._left = 1.0 / gaussian_noise_multiplier(usable, delta - grid) ** 2
        self._whole = self._left

    @property
    def whole(self) -> float:
        """What it held at first, in mu squared."""
        return self._whole

    @property
    def left(self) -> float:
        """What it holds, in mu squared."""
        return self._left

    def sigma(self, price: float) -> float:
        """The noise, in rows, on counts bought for `price` (mu squared)."""
        return self._rows_per_unit / math.sqrt(price)

    def measure(self, counts: NDArray[np.int64], price: float) -> Noisy:
        """Counts of one marginal with noise: each row is in one of them.

        Raises:
            BudgetRefused: if the purse holds less than `price`.
            UsageError: private, for counts of so many rows that they have no room on the noise's grid (from
                2^24 on where epsilon is 16 or more, from 2^28 on where it is 1).
        """
        self._pay(price)
        sigma = self.sigma(price) * (1 + 2.0**-40)
        shift = grid_shift(sigma, _FINE_BITS)
        return Noisy(Noise("gaussian", shift, math.ldexp(sigma, shift)).answer(counts), sigma)

    def choose(
        self, exact: list[NDArray[np.int64]], fitted: list[NDArray[np.float64]], less: list[float],
        weights: list[float], price: float,
    ) -> int:  # fmt: skip
        """Which marginal a model gets most wrong: the place of one, by the exponential mechanism.

        Args:
            exact: the true counts of each candidate. fitted: what the model says, same shapes.
            less: what is taken off each candidate's distance, in rows; weights: 0 or more, times the result.
            price: in mu squared.

        The score weight * (|exact - fitted|_1 - less) is taken on whole numbers, so that one row moves it by
        the largest weight and not by a rounding more.
        """
        self._pay(price)
        unit = 1 << _SCORE_BITS
        grain = np.ceil(np.asarray(weights) * unit).astype(np.int64)
        scores = np.array(
            [
                int(grain[at]) * (_distance(exact[at], fitted[at], unit) - round(less[at] * unit))
                for at in range(len(exact))
            ],
            dtype=object,
        )
        # on the grid of fitted counts one row is `unit`
        sensitivity = int(grain.max()) * unit * self._rows_per_unit
        epsilon = Fraction(math.sqrt(price * 8 / math.pi) * (1 - 2.0**-40))
        return choose(scores.astype(np.int64), epsilon / (2 * sensitivity))

    def _pay(self, price: float) -> None:
        if not price > 0 or price > self._left * (1 + 1e-12):
            raise BudgetRefused(
                "a synthetic table's budget is used up",
                clause="the purse of a synthetic table",
                asked=f"{price:.4g} of mu squared",
                left=f"{self._left:.4g}",
                private=True,
            )
        self._left = max(0.0, self._left - price)


def _distance(exact: NDArray[np.int64], fitted: NDArray[np.float64], unit: int) -> int:
    return int(np.abs(exact * unit - np.rint(fitted * unit).astype(np.int64)).sum())
