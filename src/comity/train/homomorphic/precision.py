"""The budget of bits: how exact a score is, how well the weights are hidden, and how much a score can tell.

All in bits of the modulus, which has 120 (`crypto/ckks_parameters.py`)::

     0 ... 39   what the encryption's own errors can reach: the weights show in it
    39 ... 91   the flood over it: 52 bits at least, so that the 8,192 places of a ciphertext together are
                within 2^-40 of sums that do not depend on the weights otherwise
    91          one place's error is uniform within 2^-17 of a score, the provider's own flood the same again
   108          a score of 1 (numbers are multiples of 2^-84, weights of 2^-24)
   118          the largest score, 1,024; then a sign

What a place tells is the modulus over the flood: 28 bits at most. A larger error tells less, so that more
scores may come back in one ciphertext.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from comity.crypto.ckks_parameters import (
    LEAST_FLOOD_BITS,
    LIFT_BITS,
    MOST_FLOOD_BITS,
    NOISE_BITS,
    flood_distance,
    flood_error,
    place_bits,
    places_against_any_key,
)
from comity.errors import BadInput

STEP_BITS: Final = 24
"""Weights are whole multiples of 2^-24."""
LARGEST: Final = 1024.0
"""Absolute values of the weights and the intercept add up to at most this, in the scorer's unit."""


@dataclass(frozen=True)
class Precision:
    """How far a score may be off, and what follows from it.

    Attributes:
        flood_bits: the flood's width; see this module's page of bits.
    """

    flood_bits: int = LEAST_FLOOD_BITS

    def __post_init__(self) -> None:
        if not LEAST_FLOOD_BITS <= self.flood_bits <= MOST_FLOOD_BITS:
            raise BadInput(
                f"a flood of {self.flood_bits} bits does not fit: "
                f"{LEAST_FLOOD_BITS} to {MOST_FLOOD_BITS} are possible"
            )

    @classmethod
    def of(cls, *, flooding_bits: int = 40, error: float | None = None) -> Precision:
        """The smallest flood that covers both wishes.

        Args:
            flooding_bits: bits of flood over the encryption's errors, at least.
            error: scores are to be off by up to this much either way, at least; None: as little as possible.

        Raises:
            BadInput: if it does not fit, saying what would.
        """
        bits = max(LEAST_FLOOD_BITS, NOISE_BITS + flooding_bits)
        if error is not None:
            if not (math.isfinite(error) and error > 0):
                raise BadInput(f"an error of scores is a number above 0, not {error}")
            bits = max(bits, math.ceil(math.log2(error) + LIFT_BITS + STEP_BITS))
        if bits > MOST_FLOOD_BITS:
            raise BadInput(
                f"scores that are hidden this well do not fit the encryption: at most "
                f"{MOST_FLOOD_BITS - NOISE_BITS} bits of flooding, or an error of "
                f"{_in_scores(MOST_FLOOD_BITS):g}"
            )
        return cls(bits)

    @property
    def flooding_bits(self) -> int:
        """Bits of flood over the encryption's own errors."""
        return self.flood_bits - NOISE_BITS

    @property
    def flood_error(self) -> float:
        """What the ML party's flood moves a score by at most, uniformly."""
        return _in_scores(self.flood_bits)

    def error(self, columns: int) -> float:
        """The most that an opened score differs from the model's own: both floods, and the rounding of the
        intercept and of as many weights as there are columns."""
        own = _in_scores(LEAST_FLOOD_BITS)
        return self.flood_error + own + (columns + 1) * 2.0 ** (-STEP_BITS - 1)

    @property
    def bits_per_score(self) -> int:
        """The most that one score can tell of the model, however the row was made."""
        return place_bits(self.flood_bits)

    @property
    def scores_per_ciphertext(self) -> int:
        """How many scores may come back in one ciphertext, whatever key they come back under: an estimate,
        `places_against_any_key`."""
        return places_against_any_key(self.flood_bits)

    def distance(self, rows: int) -> float:
        """By how much, in total variation, what comes back tells more than scores with that error."""
        return flood_distance(rows, self.flood_bits)


def _in_scores(flood_bits: int) -> float:
    return flood_error(flood_bits) / 2.0**STEP_BITS
