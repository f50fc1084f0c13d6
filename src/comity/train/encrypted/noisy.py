"""Logistic regression with differential privacy on shares: noise goes in as one more shared input.

Unit: a record. Neighbouring tables: one of a provider's records comes or goes (add-remove); how many rows
each provider has is public, as everywhere here. What is hidden: each record, features and label. From whom:
from the ML party, which sees what the program opens, also if it works together with `colluders` providers,
one of them a compute party. The compute parties see uniform words.

How. Full-batch gradient descent: step t adds up, over all rows, x_i (p_i - y_i), with x_i between public
bounds and a constant 1 in it, and p_i = clip(1/2 + x_i w_t / 5, 0, 1). Row t of the noise comes to the sum;
the rest of the program, its rounding included, only ever sees noisy sums.

Sensitivity, in whole numbers. Values have f = 20 fractional bits. Of a category or of a number's bins at most
one column is 2^f; a number without bins is held at its bounds and rounded to at most 2^f in magnitude, or it
is missing and its flag is 2^f. So a row of c columns and the constant has a norm of at most sqrt(c + 1) 2^f
by construction: all that has to be clipped on shares is p_i. That is done by two comparisons and two choices,
which are exact for every word of 64 bits, whatever x_i w_t was rounded or wrapped to: the residual is a whole
number from -2^f to 2^f. What one row adds to the sum of products is then a vector of whole numbers of norm at
most sqrt(c + 1) 2^(2f). SPU adds products up modulo 2^64, exactly, and rounds their sum (`f_mmul`: `_mmul`,
then `_trunc`). The noise is in that very sum: it stands under the rows as further rows, on the grid of
2^(-2f), and its residual is 2^-f, the word 1. So nothing is rounded before the noise is in, and fixed point
adds nothing to the sensitivity. This needs a protocol whose sums of products are exact: ABY3.

All steps together are one Gaussian mechanism, also though each step's question depends on the sums before it
(Dong, Roth and Su 2022), calibrated by Balle and Wang 2018. The words that the protocol draws to round one
row's product are drawn apart from the other rows': given all of them, the argument holds, and so without.

Each provider draws its part: discrete Gaussian noise of variance sigma^2 / (providers - colluders), so that
the parts of those who do not tell theirs carry what is needed. Nobody can check that a provider adds its
part. Taken out of delta first, per coordinate and step: that a sum of m discrete Gaussians of scale s is not
one (at most tau = 10 sum_{k=1}^{m-1} exp(-2 pi^2 s^2 k / (k + 1)) in total variation; Kairouz, Liu and
Steinke 2021), and that one is not the rounded continuous one (`noise.discretisation_delta`). On a grid of
2^-40 both are next to nothing. What wraps around modulo 2^64 is a function of the noisy sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from comity import noise
from comity.errors import BadSchema, UsageError
from comity.ledger import Cost, PrivacyUnit, Relation, approximate, gaussian_noise_multiplier
from comity.train.encrypted.settings import BITS, Training

if TYPE_CHECKING:
    from collections.abc import Sequence

    from comity.schema import Schema
    from comity.train.encrypted.features import Features

BINS: Final = (16, 8, 4, 0)
"""Into how many bins numbers are cut: as many of these as the table has room for."""

SLOPE: Final = 0.2
STEPS: Final = 16
FEW_STEPS: Final = 4
MOMENTUM: Final = 0.7
_LEAST_RATE: Final = 0.5
_LARGEST_RATE: Final = 4.0
_FEW: Final = 1_500.0
_PER_RATE: Final = 2_000.0
_LARGEST_EPSILON: Final = 8.0  # more noise than asked for is no harm
_UNIT: Final = 2.0**-BITS
"""What a residual of the word 1 stands for."""


def schedule(rows: int, epsilon: float) -> tuple[int, float]:
    """Steps and their length, from public facts: the more noise there is, the sooner it pays to stop."""
    known = rows * epsilon
    return (STEPS if known >= _FEW else FEW_STEPS), min(_LARGEST_RATE, max(_LEAST_RATE, known / _PER_RATE))


def features_of(schema: Schema, names: Sequence[str]) -> Features:
    """Public columns, numbers in bins: without means and deviations of the data, steps along bins are short
    enough for any bounds.

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


def sensitivity(features: Features) -> float:
    """How far one row moves the sum of a step, in units of 2^(-2f), in L2; never below it."""
    parts = len(features.numbers) + len(features.levels) + 1
    return math.sqrt(parts) * (1 + 2.0**-40) * 2.0 ** (2 * BITS)


@dataclass(frozen=True)
class NoiseParts:
    """The noise of a whole training, of which each provider draws a part. Public facts.

    Attributes:
        epsilon, delta: of all steps together, relation add-remove, unit record.
        reach: how far one row moves a step's sum, as `sensitivity` says.
        providers: who draw a part each.
        colluders: how many of them may tell theirs to the ML party.
    """

    epsilon: float
    delta: float
    training: Training
    reach: float
    providers: int
    colluders: int

    def __post_init__(self) -> None:
        if not 0 <= self.colluders < self.providers:
            raise UsageError("the noise is drawn by more providers than may work together with the ML party")
        noise.require_room(self.training.rows * self.reach, self.part * math.sqrt(self.providers))

    @property
    def cost(self) -> Cost:
        """What each provider's account is charged for all steps."""
        return approximate(self.epsilon, self.delta, unit=PrivacyUnit.record, relation=Relation.add_remove)

    @property
    def needed(self) -> float:
        """The scale, in units of 2^(-2f), that the noise of one step needs."""
        epsilon, steps = min(self.epsilon, _LARGEST_EPSILON), math.sqrt(self.training.steps)
        least = gaussian_noise_multiplier(epsilon, self.delta) * self.reach * steps
        drawn = self.training.steps * (self.training.columns + 1)
        narrowest = least / math.sqrt(self.providers - self.colluders)
        error = drawn * (1 + math.exp(epsilon)) * _sum_error(narrowest, self.providers)
        grid = noise.discretisation_delta(least, drawn, epsilon) + error
        if not grid <= self.delta / 2:
            raise UsageError(
                f"delta {self.delta:g} is too small for {drawn} sums on the integer grid; it must be at "
                f"least {2 * grid:.2g}"
            )
        multiplier = gaussian_noise_multiplier(epsilon, self.delta - grid)
        return multiplier * self.reach * steps * (1 + 2.0**-40)

    @property
    def part(self) -> float:
        """The scale of one provider's part."""
        return self.needed / math.sqrt(self.providers - self.colluders) * (1 + 2.0**-40)

    def draw(self) -> NDArray[np.int64]:
        """(steps, columns + 1) one provider's part, in units of 2^(-2f); after the charge."""
        return self.drawn((self.training.steps, self.training.columns + 1))

    def drawn(self, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Numbers of one provider's part, of any shape."""
        return noise.add_discrete_gaussian(np.zeros(shape, dtype=np.int64), self.part)


def _sum_error(scale: float, parts: int) -> float:
    """tau of the docstring above, for parts of this scale, which is 1/2 or more."""
    terms = (math.exp(-2 * math.pi**2 * scale**2 * k / (k + 1)) for k in range(1, parts))
    return 10 * sum(terms) * (1 + 1e-12)


def noisy_descent(training: Training) -> Callable[..., Any]:
    """The program as a JAX function of rows, labels and noise."""

    def noisy(rows: Any, labels: Any, noise: Any) -> Any:
        import jax
        import jax.numpy as jnp

        wide = jnp.concatenate([rows, jnp.ones((training.rows, 1))], axis=1)
        whole = jnp.concatenate([wide, noise])
        at_each = jnp.arange(training.steps)
        later = training.steps - training.steps // 2
        shares = jnp.where(at_each >= training.steps // 2, 1.0 / later, 0.0)
        # sums are scaled in two factors, one here and one where weights are used: one alone would have too
        # few digits in fixed point where there are many rows
        coarse = 2.0 ** -(training.rows.bit_length() // 2)
        fine = training.rate / training.rows / coarse

        def step(at: Any, state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            place, velocity, mean = state
            chances = jnp.clip(wide @ (place * fine) * SLOPE + 0.5, 0.0, 1.0)
            residual = jnp.concatenate([chances - labels, jnp.where(at_each == at, _UNIT, 0.0)])
            slope = whole.T @ residual
            velocity = training.momentum * velocity - slope * coarse
            place = place + velocity
            return place, velocity, mean + shares[at] * place

        zero = jnp.zeros(training.columns + 1)
        return jax.lax.fori_loop(0, training.steps, step, (zero, zero, zero))[2] * fine

    return noisy
