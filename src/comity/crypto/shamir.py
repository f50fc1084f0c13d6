"""Threshold shares of a 32-byte secret (Shamir 1979) over the integers modulo the prime 2^257 - 93.

Any `threshold` shares give the secret back; fewer tell nothing of it, since a polynomial with uniform
coefficients passes through them for every secret. Shares carry no integrity: whoever puts them together
checks the secret against a public fact about it (a public key, a digest), and whoever sends them signs
them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Final

from comity.errors import BadInput, VerificationFailed

PRIME: Final = 2**257 - 93
SECRET_BYTES: Final = 32
SHARE_BYTES: Final = 33
MOST_SHARES: Final = 10_000


def split(secret: bytes, *, threshold: int, places: Iterable[int]) -> dict[int, bytes]:
    """One share of 33 bytes per place.

    Args:
        secret: 32 bytes.
        threshold: how many shares give it back, from 1 to the number of places.
        places: distinct whole numbers from 1 to 10,000, one for each holder.

    Raises:
        BadInput: for another length of secret, other places, or a threshold that they cannot reach.
    """
    wanted = sorted(set(places))
    if len(secret) != SECRET_BYTES:
        raise BadInput(f"a secret that is split has {SECRET_BYTES} bytes, not {len(secret)}")
    if not wanted or wanted[0] < 1 or wanted[-1] > MOST_SHARES or not 1 <= threshold <= len(wanted):
        raise BadInput(
            f"a secret is split among places from 1 to {MOST_SHARES:,}, at least as many as the threshold"
        )
    polynomial = [
        int.from_bytes(secret, "big"),
        *(secrets.randbelow(PRIME) for _ in range(threshold - 1)),
    ]
    return {place: _value(polynomial, place).to_bytes(SHARE_BYTES, "big") for place in wanted}


def combine(shares: Mapping[int, bytes], *, threshold: int) -> bytes:
    """The secret of at least `threshold` shares, by their places; those beyond the threshold are not used.

    Raises:
        VerificationFailed: if there are too few, or what they give is no secret of 32 bytes.
    """
    if threshold < 1 or len(shares) < threshold:
        raise VerificationFailed(f"{len(shares)} shares came of a secret that {threshold} give back")
    chosen = dict(sorted(shares.items())[:threshold])
    points: dict[int, int] = {}
    for place, data in chosen.items():
        value = int.from_bytes(data, "big")
        if len(data) != SHARE_BYTES or value >= PRIME or not 1 <= place <= MOST_SHARES:
            raise VerificationFailed(f"the share at place {place} is none")
        points[place] = value
    secret = sum(value * _weight(place, points) for place, value in points.items()) % PRIME
    if secret >= 1 << (8 * SECRET_BYTES):
        raise VerificationFailed("the shares do not belong together: they give no secret of 32 bytes")
    return secret.to_bytes(SECRET_BYTES, "big")


def _value(polynomial: list[int], at: int) -> int:
    """Horner's rule, the constant first in the list."""
    total = 0
    for coefficient in reversed(polynomial):
        total = (total * at + coefficient) % PRIME
    return total


def _weight(place: int, points: Mapping[int, int]) -> int:
    """Lagrange's coefficient of a place for the value at 0."""
    above, below = 1, 1
    for other in points:
        if other != place:
            above = above * other % PRIME
            below = below * (other - place) % PRIME
    return above * pow(below, -1, PRIME) % PRIME
