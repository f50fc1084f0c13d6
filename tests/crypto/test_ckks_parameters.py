"""Encryption parameters: 128-bit security or nothing, and the arithmetic of the flood."""

from __future__ import annotations

import math

import pytest

from comity.crypto.ckks_parameters import (
    LEAST_FLOOD_BITS,
    LIFT_BITS,
    NOISE_BITS,
    PARAMETERS,
    PLACES,
    SECURITY_TABLE,
    SUM_BITS,
    WEIGHT_BITS,
    Parameters,
    flood_distance,
    place_bits,
    places_against_any_key,
    require_parameters,
)
from comity.errors import BadInput


def test_the_table_is_the_library_s_own() -> None:
    seal = pytest.importorskip("tenseal.sealapi")
    for degree, bits in SECURITY_TABLE.items():
        assert seal.CoeffModulus.MaxBitCount(degree, seal.SEC_LEVEL_TYPE.TC128) == bits


def test_the_parameters_in_use_have_room_to_spare() -> None:
    assert sum(PARAMETERS.bits) < SECURITY_TABLE[PARAMETERS.degree]


@pytest.mark.parametrize(
    ("degree", "bits"),
    [(4096, (60, 60)), (8192, (60, 60, 60, 60)), (8192, (219,)), (2048, (55,)), (5000, (20,)), (512, (10,))],
)
def test_weaker_ones_are_refused(degree: int, bits: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match=r"128-bit|not in the standard"):
        Parameters(degree, bits)


@pytest.mark.parametrize(
    "stated",
    [
        None,
        {},
        "ckks",
        PARAMETERS.to_dict() | {"degree": 4096},
        PARAMETERS.to_dict() | {"bits": [60, 60]},
        PARAMETERS.to_dict() | {"more": 1},
    ],
)
def test_another_party_s_parameters_are_refused(stated: object) -> None:
    with pytest.raises(BadInput, match="same version"):
        require_parameters(stated)


def test_the_flood_covers_the_errors_and_leaves_room_for_scores() -> None:
    largest = 21 * 2**WEIGHT_BITS + 2**13
    assert largest < 2**NOISE_BITS
    assert LEAST_FLOOD_BITS - NOISE_BITS >= 40
    assert flood_distance(PLACES, LEAST_FLOOD_BITS) <= 2.0**-40
    # the largest sum and both floods stay within the modulus, so that nothing wraps around
    assert 2 ** (WEIGHT_BITS + LIFT_BITS) + 2**118 <= 2 ** (SUM_BITS - 1)
    assert place_bits(LEAST_FLOOD_BITS) == 28


def test_the_distance_adds_up_over_places() -> None:
    one = flood_distance(1, LEAST_FLOOD_BITS)
    assert flood_distance(10, LEAST_FLOOD_BITS) == pytest.approx(10 * one)
    assert one == pytest.approx(2**NOISE_BITS / 2 ** (LEAST_FLOOD_BITS + 1))
    assert flood_distance(2**60, LEAST_FLOOD_BITS) == 1.0


def test_few_places_are_safe_from_crafted_keys_and_coarser_ones_more() -> None:
    few = places_against_any_key(LEAST_FLOOD_BITS)
    assert 100 < few < 250
    known = few * place_bits(LEAST_FLOOD_BITS) / math.log2(3)
    # what is left is as secure as the table's degree of 4,096 with its 109 bits
    assert (SUM_BITS + 4) / (PLACES - known) <= 109 / 4096
    assert places_against_any_key(LEAST_FLOOD_BITS + 17) > 2 * few
