"""What one upload pays for: a Gaussian noise per answer, all of them together within one price.

An upload is charged once, (epsilon, delta) for a change of one label, and its answers share that. An answer
with portion f of it has noise of multiplier m / sqrt(f), where m is that of one answer with the whole price.
Gaussian mechanisms compose exactly (Dong, Roth and Su 2022, corollary 2): however each question depends on
earlier answers, portions that add up to 1 cost what one answer with multiplier m does.

The grid is finer than that of other answers (2^30 steps and more per noise scale), so that its share of
delta stays below a 64th of it, in proportion to the portion, and all parties reckon it from public facts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from comity import noise
from comity.errors import UsageError
from comity.ledger import gaussian_noise_multiplier
from comity.mechanism import LARGEST_EPSILON, Noise, Sums, grid_shift, require_room
from comity.validate.mechanism import Price, Sized

FINE_BITS: Final = 30
GRID_SHARE: Final = 1 / 64


def require_portions(portions: Sequence[float]) -> None:
    """Refuse portions that one price does not pay for.

    Raises:
        UsageError: unless they lie above 0 and add up to 1 at most.
    """
    if not portions or min(portions) <= 0 or math.fsum(portions) > 1 + 1e-12:
        raise UsageError("the portions of an upload's price lie above 0 and add up to 1 at most")


def portion_multiplier(price: Price, portion: float = 1.0) -> float:
    """Noise over L2 sensitivity of an answer with this portion of a price.

    Raises:
        UsageError: for a price without delta, or a portion outside (0, 1].
    """
    if price.delta <= 0:
        raise UsageError("blind validation adds Gaussian noise: give the price a delta above 0")
    if not 0 < portion <= 1:
        raise UsageError(f"a portion of a price lies above 0 and up to 1, not {portion}")
    whole = gaussian_noise_multiplier(min(price.epsilon, LARGEST_EPSILON), price.delta * (1 - GRID_SHARE))
    return whole / math.sqrt(portion)


def portion_calibration(
    query: Sized, price: Price, portion: float = 1.0, *, fine_bits: int = FINE_BITS
) -> Noise:
    """The noise of an answer with this portion of a price.

    Args:
        query: what is asked, or its sizes.
        fine_bits: the noise is at least 2^fine_bits grid steps wide.

    Raises:
        UsageError: if sums and noise do not fit into 64-bit integers, or delta is too small.
    """
    multiplier = portion_multiplier(price, portion)
    made = Noise.of_multiplier(multiplier, query.l2, grid_shift(multiplier * query.l2, fine_bits))
    epsilon = min(price.epsilon, LARGEST_EPSILON)
    grid = noise.discretisation_delta(made.scale, query.dimensions, epsilon)
    if grid > price.delta * GRID_SHARE * portion:
        raise UsageError(
            f"delta {price.delta:g} is too small for {query.dimensions} sums on the integer grid; "
            f"it must be at least {grid / GRID_SHARE / portion:.2g}"
        )
    require_room(Sums(query.dimensions, query.l2, query.largest_sum, records=1), made)
    return made
