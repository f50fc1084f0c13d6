"""The parameters of encrypted scoring (CKKS), checked for 128-bit security, and what follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from comity.errors import BadInput

SECURITY_TABLE: Final = {1024: 27, 2048: 54, 4096: 109, 8192: 218, 16384: 438, 32768: 881}
"""Bits that the modulus may have by ring degree for 128-bit security with ternary secrets: table 1 of the
homomorphic encryption standard (Albrecht et al. 2018), classical attacks."""

LIFT_BITS: Final = 84
"""Numbers are encrypted as whole multiples of 2^-84."""
WEIGHT_BITS: Final = 34
"""The weights' absolute values and the added number are whole and add up to at most 2^34."""
NOISE_BITS: Final = 39
"""The encryption's own errors in a weighted sum are below 2^39: 21 times 2^34, and 2^13 of the fresh zero."""
LEAST_FLOOD_BITS: Final = NOISE_BITS + 52
MOST_FLOOD_BITS: Final = 117
MOST_CIPHERTEXTS: Final = 4096
_ROUNDING_BITS: Final = 4
"""Bits by which a rounding error, of deviation 0.29, is below the error of the table, of 3.2; rounded up."""


@dataclass(frozen=True)
class Parameters:
    """A ring degree and the bits of its primes, the last of which serves the public key alone.

    Raises:
        BadInput: if they give less than 128-bit security by the standard's table.
    """

    degree: int = 8192
    bits: tuple[int, ...] = (60, 60, 60)

    def __post_init__(self) -> None:
        most = SECURITY_TABLE.get(self.degree)
        if most is None:
            raise BadInput(
                f"a ring degree of {self.degree} is not in the standard's table: take one of "
                f"{', '.join(str(degree) for degree in SECURITY_TABLE)}"
            )
        if sum(self.bits) > most:
            raise BadInput(
                f"a modulus of {sum(self.bits)} bits at ring degree {self.degree} gives less than 128-bit "
                f"security: at most {most} bits do"
            )

    def to_dict(self) -> dict[str, Any]:
        return {"scheme": "ckks", "degree": self.degree, "bits": list(self.bits), "lift": LIFT_BITS}


PARAMETERS: Final = Parameters()
PLACES: Final = PARAMETERS.degree
SUM_BITS: Final = sum(PARAMETERS.bits[:-1])


def require_parameters(stated: object) -> None:
    """Refuse what another party encrypted under other parameters than those that both ends make.

    Raises:
        BadInput: if they differ in anything.
    """
    if stated != PARAMETERS.to_dict():
        raise BadInput(
            f"another party states other encryption parameters than those in use ({PARAMETERS.to_dict()}): "
            "both ends need the same version of comity"
        )


def flood_distance(places: int, flood_bits: int) -> float:
    """By how much, in total variation, so many flooded places differ from the sums alone with that flood's
    error: at most 2^-40 for all places of a ciphertext."""
    return min(1.0, places * 2.0 ** (NOISE_BITS - flood_bits - 1))


def place_bits(flood_bits: int) -> int:
    """The most that one place can tell, in bits: the modulus over the flood's width."""
    return SUM_BITS - flood_bits - 1


def places_against_any_key(flood_bits: int) -> int:
    """How many places of a ciphertext may be told so that not even a crafted public key tells the weights.

    With such a key a place tells its maker up to `place_bits` bits of the ternary numbers that the fresh zero
    was encrypted with, instead of a sum: so many of them count as known (perfect hints; Dachman-Soled, Ducas,
    Gong and Rossi 2020). A sum that is told in parts has such numbers of its own for each part. What is left
    has to be 128 bits secure by the standard's table, interpolated, with the rounding to the smaller modulus
    as its error. An estimate, not a proof.
    """
    unknown = math.ceil(PLACES * (SUM_BITS + _ROUNDING_BITS) / SECURITY_TABLE[PLACES])
    return int((PLACES - unknown) / (place_bits(flood_bits) / math.log2(3)))


def flood_error(flood_bits: int) -> float:
    """The flood's largest error, in units of number times weight."""
    return 2.0 ** (flood_bits - LIFT_BITS)
