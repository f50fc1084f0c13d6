"""BFV: parameters of 128-bit security, and returned ciphertexts that tell nothing but what they encrypt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest

from comity.crypto.bfv import (
    PLAIN_BITS,
    SLOTS,
    DecryptionKey,
    PublicEnd,
    Scheme,
    flood_distance,
    uniform_slots,
    uniform_with_sum,
)
from comity.errors import BadInput


@pytest.fixture(scope="module")
def scheme() -> Scheme:
    return Scheme()


@pytest.fixture(scope="module")
def key(scheme: Scheme) -> DecryptionKey:
    return DecryptionKey(scheme)


def test_the_parameters_have_128_bit_security_and_slots(scheme: Scheme) -> None:
    seal, context = scheme.library
    assert context.parameters_set()
    limit = seal.CoeffModulus.MaxBitCount(SLOTS, seal.SEC_LEVEL_TYPE.TC128)
    used = sum(m.bit_count() for m in seal.CoeffModulus.BFVDefault(SLOTS, seal.SEC_LEVEL_TYPE.TC128))
    assert used <= limit == 218
    assert scheme.plain_modulus.bit_length() == PLAIN_BITS
    assert scheme.plain_modulus % (2 * SLOTS) == 1


def second_half(scheme: Scheme, data: bytes) -> np.ndarray:
    _, words = scheme._opened(scheme.written(scheme.read("Ciphertext", data)))
    return np.frombuffer(words, dtype="<u8").reshape(2, -1, SLOTS)[1]


def test_the_returned_ciphertext_is_new_and_its_error_is_flooded(scheme: Scheme, key: DecryptionKey) -> None:
    """Without a fresh second half, dividing it by that of the question's would give the labels away."""
    end = PublicEnd(scheme, key.public)
    cipher = end.encrypt(np.ones(SLOTS, dtype=np.int64))
    values, added = np.ones(SLOTS, dtype=np.int64), np.zeros(SLOTS, dtype=np.int64)
    one, other = (end.weighted([cipher], [values], added) for _ in range(2))
    halves = [second_half(scheme, data) for data in (cipher, one, other)]
    assert not any((halves[0] == half).mean() > 0.01 for half in halves[1:])
    assert (halves[1] == halves[2]).mean() < 0.01
    # 2 to 3 bits of room: the error has the flood's size, whatever the product's was
    assert {key.margin_bits(data) for data in (one, other)} <= {1, 2, 3}
    assert flood_distance(10, 5) < 1e-10
    assert flood_distance(1, 64) <= 2.0**-37


@pytest.mark.parametrize("parties", [2, 3, 16])
def test_results_of_several_parties_add_up(parties: int, scheme: Scheme, key: DecryptionKey) -> None:
    """Each is flooded by so much less that there is room for the sum of all."""
    end = PublicEnd(scheme, key.public)
    draw = np.random.default_rng(parties)
    asked = draw.integers(-(2**17), 2**17, SLOTS)
    cipher = end.encrypt(asked)
    values = draw.integers(0, 2, (parties, SLOTS))
    added = draw.integers(0, scheme.plain_modulus, (parties + 1, SLOTS))
    answers = [
        end.weighted([cipher], [own], extra, parties=parties)
        for own, extra in zip(values, added, strict=False)
    ]
    total = end.added(answers, added[-1])
    assert key.margin_bits(total) >= 1
    expected = (asked * values.sum(axis=0) + added.sum(axis=0)) % scheme.plain_modulus
    assert np.array_equal(key.decrypt(total), expected)
    assert flood_distance(100, 5, parties) < 1e-9
    with pytest.raises(BadInput):
        end.added([], added[-1])
    with pytest.raises(BadInput):
        flood_distance(1, 1, 1000)


def test_a_fresh_error_is_far_below_its_bound(scheme: Scheme, key: DecryptionKey) -> None:
    """The room that a fresh ciphertext leaves: 174 bits less the plain modulus, the bound and a sign."""
    end = PublicEnd(scheme, key.public)
    assert key.margin_bits(end.encrypt(np.arange(SLOTS))) >= 174 - 42 - 13 - 42


def test_the_two_factors_of_every_product_are_uniform(
    scheme: Scheme, key: DecryptionKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that neither the library's short cuts for plain numbers nor its refusals tell labels."""
    seen: list[np.ndarray] = []
    encoded = Scheme.encoded

    def watched(self: Scheme, values: np.ndarray) -> Any:
        seen.append(np.mod(values, self.plain_modulus))
        return encoded(self, values)

    end = PublicEnd(scheme, key.public)
    cipher = end.encrypt(np.ones(SLOTS, dtype=np.int64))
    monkeypatch.setattr(Scheme, "encoded", watched)
    zeros = np.zeros(SLOTS, dtype=np.int64)
    answer = end.weighted([cipher], [zeros], zeros)
    assert key.decrypt(answer).tolist() == zeros.tolist()
    for factor in seen[1:]:
        assert kstest(factor / scheme.plain_modulus, "uniform").pvalue > 1e-7


def test_uniform_vectors() -> None:
    modulus = 4398046150657
    assert int(uniform_with_sum(-5, modulus).sum()) % modulus == modulus - 5
    slots = uniform_slots(modulus)
    assert slots.min() >= 0
    assert slots.max() < modulus
    assert kstest(slots / modulus, "uniform").pvalue > 1e-7
