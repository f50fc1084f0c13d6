"""Threshold shares: any threshold of them give the secret back, fewer say nothing, and nonsense is
refused."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crypto import shamir
from comity.errors import BadInput, VerificationFailed


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(1, 7), st.data())
def test_any_threshold_of_shares_gives_the_secret_back(
    secret: bytes, count: int, data: st.DataObject
) -> None:
    threshold = data.draw(st.integers(1, count))
    places = data.draw(st.permutations(range(1, 12)).map(lambda found: found[:count]))
    shares = shamir.split(secret, threshold=threshold, places=places)
    for chosen in combinations(shares, threshold):
        assert shamir.combine({at: shares[at] for at in chosen}, threshold=threshold) == secret


def test_fewer_shares_fit_every_secret() -> None:
    """Beside any two of three-threshold shares there is a third one for each secret: they say nothing."""
    shares = shamir.split(bytes(32), threshold=3, places=[1, 2, 3])
    other = (1).to_bytes(32, "big")
    points = {0: int.from_bytes(other, "big"), **{at: int.from_bytes(shares[at], "big") for at in (1, 2)}}
    third = 0
    for at, value in points.items():
        weight = value
        for place in points:
            if place != at:
                weight = weight * (3 - place) * pow(at - place, -1, shamir.PRIME) % shamir.PRIME
        third = (third + weight) % shamir.PRIME
    fitting = {1: shares[1], 2: shares[2], 3: third.to_bytes(33, "big")}
    assert shamir.combine(fitting, threshold=3) == other


def test_the_field_is_a_prime() -> None:
    """Fermat's test to 40 bases; a composite passes each with probability 1/4 at most (Miller-Rabin is
    stricter)."""
    odd, twos = shamir.PRIME - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in range(2, 42):
        value = pow(base, odd, shamir.PRIME)
        passed = value in (1, shamir.PRIME - 1)
        for _ in range(twos - 1):
            value = value * value % shamir.PRIME
            passed = passed or value == shamir.PRIME - 1
        assert passed


def test_too_few_or_foreign_shares_are_refused() -> None:
    shares = shamir.split(b"s" * 32, threshold=3, places=[1, 2, 3, 4])
    with pytest.raises(VerificationFailed, match="2 shares came of a secret that 3 give back"):
        shamir.combine({1: shares[1], 2: shares[2]}, threshold=3)
    with pytest.raises(VerificationFailed, match="place 2"):
        shamir.combine({1: shares[1], 2: b"\xff" * 33, 3: shares[3]}, threshold=3)
    with pytest.raises(VerificationFailed, match="place 0"):
        shamir.combine({0: shares[1], 2: shares[2], 3: shares[3]}, threshold=3)


@pytest.mark.parametrize(
    ("secret", "threshold", "places"),
    [
        (b"short", 2, [1, 2]),
        (bytes(32), 3, [1, 2]),
        (bytes(32), 1, [0]),
        (bytes(32), 0, [1]),
        (bytes(32), 1, []),
    ],
)
def test_what_cannot_be_split_is_refused(secret: bytes, threshold: int, places: list[int]) -> None:
    with pytest.raises(BadInput):
        shamir.split(secret, threshold=threshold, places=places)
