"""Logistic regression with differential privacy on shares: noise goes in as one more shared input.

Unit: a record. Neighbouring tables: one of a provider's records comes or goes (add-remove). How many rows
each provider has is public, as everywhere here, so what is compared is a record and an empty row in its
place, which adds nothing to any sum. What is hidden: each record, features and label. From whom:
from the ML party, which sees what the program opens, also if it works together with `colluders` providers,
one of them a compute party. The compute parties see uniform words.

What is shared. A row is z = (1 - 2 y) (x, 1): its columns between public bounds and a constant 1, turned
around where the label y is 1. Labels are not shared by themselves. With a margin m = z w, a row's residual is
r = clip(1 + m / 2, 0, 1), and the sum over rows of z r is the gradient of a convex loss that, like the
logistic one, ranks by the chance of a label (a hinge with rounded corners). It reaches 1 at a margin of 0
already: with |r| <= 1 as before, it is twice as steep as p - y there, and noise moves its solution less.

What is noisy. First a sum of squares: for every column, the sum over rows of x^2, which is how often a level
or bin occurs. Each provider adds up its own and shares that with its noise in it. It makes the steps as long
as each column allows and takes out of each level what all rows have in common. Then one gradient per step:
its row of the noise comes to the sum. The program, its rounding included, only ever sees noisy sums.

Sensitivity, in whole numbers. Values have f = 20 fractional bits. Of a category or of a number's bins at most
one column is 2^f; a number without bins is held at its bounds and rounded to at most 2^f in magnitude, or it
is missing and its flag is 2^f. So a row of c columns and the constant has a norm of at most sqrt(c + 1) 2^f
by construction: all that has to be clipped on shares is r. That is done by two comparisons and two choices,
which are exact for every word of 64 bits, whatever z w was rounded or wrapped to: the residual is a whole
number from 0 to 2^f. What one row adds to the sum of products is then a vector of whole numbers of norm at
most sqrt(c + 1) 2^(2f). SPU adds products up modulo 2^64, exactly, and rounds their sum (`f_mmul`: `_mmul`,
then `_trunc`). The noise is in that very sum: it stands under the rows as further rows, on the grid of
2^(-2f), and its residual is 2^-f, the word 1. So nothing is rounded before the noise is in, and fixed point
adds nothing to the sensitivity. This needs a protocol whose sums of products are exact: ABY3. To the squares
one row adds at most c whole numbers of at most 2^(2f) each, divided by a power of two and rounded down one by
one.

All of it together is one Gaussian mechanism, also though each step's question depends on the sums before it
(Dong, Roth and Su 2022), calibrated by `comity.mechanism`. The words that the protocol draws to round one
row's product are drawn apart from the other rows': given all of them, the argument holds, and so without.

Each provider draws its part: discrete Gaussian noise of variance sigma^2 / (providers - colluders), so that
the parts of those who do not tell theirs carry what is needed. Nobody can check that a provider adds its
part. What wraps around modulo 2^64 is a function of the noisy sum.

Steps, their length, ridge, and how the privacy is divided follow from public facts; the constants were chosen
on Adult, on two tables that scikit-learn ships and on two that were made up, none of them anybody's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadSchema, UsageError
from comity.ledger import Cost, PrivacyUnit, Relation, approximate, gaussian_noise_multiplier
from comity.mechanism import FINE_BITS, LARGEST_EPSILON, Calibrated, Noise, Parts, Sums, gaussian
from comity.train.encrypted.settings import BITS, Kind, Training

if TYPE_CHECKING:
    from collections.abc import Sequence

    from comity.schema import Schema
    from comity.train.encrypted.features import Features

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

BINS: Final = (16, 8, 4, 0)
"""Into how many bins numbers are cut: as many of these as the table has room for."""

SLOPE: Final = 0.5
"""Of a residual, by its margin."""

STEPS: Final = 12
WARM: Final = 3
"""Steps before those whose places are averaged, which averages their noise (Polyak and Juditsky 1992)."""

MOMENTUM: Final = 0.5
_LONGEST: Final = 0.6
_PER_PART: Final = 6.0
"""Columns that all say the same are steeper together by their number than each by itself: with steps of
3 (1 + momentum) = 4.5 over it nothing diverges at the slope that residuals have on average."""

_SQUARES_SHARE: Final = 0.08
_WARM_SHARE: Final = 0.1
_RIDGE: Final = 60.0
_LEAST_RIDGE: Final = 1.5
_FLOOR: Final = 2.0**-13
"""The ridge per row is at least this, so that lengths of steps have digits in fixed point."""

_UNIT: Final = 2.0**-BITS
"""What a residual of the word 1 stands for."""


def features_of(schema: Schema, names: Sequence[str]) -> Features:
    """Public columns, numbers in bins: means and deviations of the data are not known to anybody here.

    Raises:
        BadSchema: as `Features.of`.
    """
    from comity.train.encrypted.features import Features

    for bins in BINS[:-1]:
        try:
            return Features.of(schema, names, bins=bins)
        except BadSchema:
            continue  # too many columns, or a fault that the last one tells
    return Features.of(schema, names, bins=BINS[-1])


def training_of(
    features: Features, rows: int, epsilon: float, delta: float, *, providers: int, colluders: int
) -> Training:
    """The settings of a training with noise, from public facts.

    Raises:
        BadInput: if they do not fit together.
    """
    ones = len(features.numbers) + len(features.levels) + 1
    deviation = _deviation(epsilon, delta, ones) * math.sqrt(providers / max(1, providers - colluders))
    # the more noise there is for a row, the stronger: by its root, which fits tables of all sizes
    wanted = deviation * max(_LEAST_RIDGE, _RIDGE * math.sqrt(deviation / rows))
    ridge = min(float(rows), max(_FLOOR * rows, wanted))
    return Training(
        kind=Kind.logistic,
        rows=rows,
        columns=features.width,
        numeric=features.numeric,
        steps=STEPS,
        momentum=MOMENTUM,
        ridge=float(f"{ridge:.3g}"),  # another processor's last digits would make another program
        noisy=True,
        rate=min(_LONGEST, _PER_PART / ones),
        epsilon=epsilon,
        delta=delta,
        ones=ones,
    )


def _deviation(epsilon: float, delta: float, ones: int) -> float:
    """Of the noise of all steps' sums together, if they were one: in rows whose columns are all 1."""
    return gaussian_noise_multiplier(min(epsilon, LARGEST_EPSILON), delta) * math.sqrt(ones)


@dataclass(frozen=True)
class NoiseParts:
    """The noise of a whole training, of which each provider draws a part. Public facts.

    Attributes:
        training: with the epsilon and delta of all sums together, relation add-remove, unit record.
        providers: who draw a part each.
        colluders: how many of them may tell theirs to the ML party.

    Raises:
        UsageError: if delta is too small for the sums, or they do not fit 64 bits with the noise.
    """

    training: Training
    providers: int
    colluders: int

    def __post_init__(self) -> None:
        if not 0 <= self.colluders < self.providers:
            raise UsageError("the noise is drawn by more providers than may work together with the ML party")
        if any(one.shift for one in self.calibrated.noises):
            raise UsageError(f"noise for {self.training.rows} rows is finer than the grid of shared numbers")

    @property
    def cost(self) -> Cost:
        """What each provider's account is charged for everything that is opened."""
        told = self.training
        return approximate(told.epsilon, told.delta, unit=PrivacyUnit.record, relation=Relation.add_remove)

    @property
    def releases(self) -> tuple[Sums, Sums, Sums]:
        """The squares, the first gradients and the later ones, in units of 2^(-2f)."""
        training, rest = self.training, 1 - _SQUARES_SHARE
        wide, later = training.columns + 1, training.steps - WARM
        largest = 1 << 2 * BITS
        square = largest >> squares_shift(training.rows)
        reach = _root(training.ones * largest**2)
        gradients = [
            Sums(wide, reach, largest, share / times, times, training.rows)
            for share, times in ((rest * _WARM_SHARE, WARM), (rest * (1 - _WARM_SHARE), later))
        ]
        squares = _root(max(1, training.ones - 1) * square**2)
        first = Sums(training.columns, squares, square, _SQUARES_SHARE, 1, training.rows)
        return first, gradients[0], gradients[1]

    @cached_property
    def calibrated(self) -> Calibrated:
        """What the sums need."""
        parts = Parts(self.providers, self.providers - self.colluders)
        told = self.training
        # the grid is that of the products, which is fine enough: it is not refined
        return gaussian(self.releases, told.epsilon, told.delta, parts=parts, finest=FINE_BITS)

    @property
    def needed(self) -> tuple[Noise, ...]:
        """(1 + steps) the noise that each row's sum needs."""
        noises = zip(self.releases, self.calibrated.noises, strict=True)
        return tuple(noise for one, noise in noises for _ in range(one.times))

    def drawn(self, needed: Noise, shape: tuple[int, ...]) -> Integers:
        """Numbers of one provider's part of a sum's noise, of any shape."""
        return needed.part(self.calibrated.parts).add(np.zeros(shape, dtype=np.int64))

    def share(self, squares: Integers) -> Integers:
        """(1 + steps, columns + 1) a provider's squares with its part of their noise, then its parts of the
        steps' noise, in units of 2^(-2f); after the charge."""
        wide = self.training.columns + 1
        found = np.stack([self.drawn(needed, (wide,)) for needed in self.needed])
        found[0] += np.append(squares, 0)
        return found


def _root(square: int) -> int:
    """The root of a whole number, rounded up."""
    root = math.isqrt(square)
    return root if root * root == square else root + 1


def squares_shift(rows: int) -> int:
    """By how many bits squares are shortened, so that their sum over all rows stays within 2^(2f)."""
    return max(0, rows - 1).bit_length()


def turned(rows: Floats, labels: Floats) -> Floats:
    """(n, columns + 1) rows with a constant 1, all of it turned around where the label is 1."""
    signs = 1.0 - 2.0 * labels
    return np.column_stack([rows, np.ones(len(rows))]) * signs[:, None]


def squares_of(words: NDArray[np.uint64], rows: int) -> Integers:
    """(columns,) one provider's sums of squares, exact, in units of 2^(-2f). They never leave as they are.

    Args:
        words: (n, columns + 1) its rows as `turned` and `sharing.to_words` give them.
        rows: of all providers together.
    """
    held = words.view(np.int64)[:, :-1]
    shift = squares_shift(rows)
    return np.array([((one * one) >> shift).sum() for one in held.T], dtype=np.int64)


def noisy_descent(training: Training) -> Callable[..., Any]:
    """The program as a JAX function of turned rows, and of noise with the squares in it."""

    def noisy(rows: Any, noise: Any) -> Any:
        import jax
        import jax.numpy as jnp

        whole = jnp.concatenate([rows, noise[1:]])
        at_each = jnp.arange(training.steps)
        averaged = jnp.where(at_each >= WARM, 1.0 / (training.steps - WARM), 0.0)
        # sums are scaled in two factors: one alone would have too few digits in fixed point where there are
        # many rows
        coarse = 2.0 ** -(training.rows.bit_length() // 2)
        lengths, centre = _conditioned(training, noise[0] * _UNIT)
        lengths = lengths * (training.rate / training.rows / coarse)
        ridge = jnp.append(jnp.full(training.columns, training.ridge * coarse), 0.0)

        def step(at: Any, state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            place, velocity, mean = state
            held = jnp.clip(rows @ (place * SLOPE) + 1.0, 0.0, 1.0)
            residual = jnp.concatenate([held, jnp.where(at_each == at, _UNIT, 0.0)])
            slope = (whole.T @ residual) * coarse
            move = (slope - centre * slope[-1] + ridge * place) * lengths
            # what moves a level moves the intercept back by the share of rows that have it
            move = move - jnp.append(jnp.zeros(training.columns), jnp.sum(centre * move))
            velocity = training.momentum * velocity - move
            place = place + velocity
            return place, velocity, mean + averaged[at] * place

        zero = jnp.zeros(training.columns + 1)
        return jax.lax.fori_loop(0, training.steps, step, (zero, zero, zero))[2]

    return noisy


def _conditioned(training: Training, squares: Any) -> tuple[Any, Any]:
    """From (columns + 1,) noisy squares: how long steps are along each column, by the curvature that there
    would be if columns were independent; and which share of all rows has it, 0 for numbers and the constant.
    """
    import jax.numpy as jnp

    shift = squares_shift(training.rows)
    shares = jnp.clip(squares[:-1] * (2.0**shift / training.rows), 0.0, 1.0)
    curvature = shares * SLOPE + training.ridge / training.rows
    lengths = jnp.append(1.0 / curvature, 1.0 / SLOPE)
    is_level = np.append(np.arange(training.columns) >= training.numeric, False)
    return lengths, jnp.append(shares, 0.0) * is_level.astype(np.float32)
