"""Weighted sums of encrypted numbers: right, flooded, masked, and nothing taken from a stranger unchecked."""

from __future__ import annotations

import struct
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crypto import ckks
from comity.crypto.ckks import DecryptionKey, PublicEnd, Scheme, flood, folder, uniform_below
from comity.crypto.ckks_parameters import LEAST_FLOOD_BITS, MOST_FLOOD_BITS, PLACES, WEIGHT_BITS, flood_error
from comity.errors import BadInput

BOTH_FLOODS = 2 * flood_error(LEAST_FLOOD_BITS)


@pytest.fixture(scope="module")
def scheme() -> Scheme:
    return Scheme()


@pytest.fixture(scope="module")
def key(scheme: Scheme) -> DecryptionKey:
    return DecryptionKey(scheme)


@pytest.fixture(scope="module")
def end(scheme: Scheme, key: DecryptionKey) -> PublicEnd:
    return PublicEnd(scheme, key.public)


def noise_of(scheme: Scheme, key: DecryptionKey, column: bytes) -> np.ndarray:
    """The errors in an encryption of zeros, which the key's holder can read."""
    with folder() as path:
        cipher = scheme.load("column", column, path)
    plain = scheme.library[0].Plaintext()
    key._decryptor.decrypt(cipher, plain)
    return scheme.decoded(plain) * 2.0**84


def weighed(end: PublicEnd, columns: Any, weights: Any, added: int, *, told: int, **how: Any) -> bytes:
    """A sum whose first places are told, in one ciphertext."""
    (data,) = end.weighted(columns, weights, added, told=[range(told)], **how)
    return data


weights = st.lists(st.integers(-(2**30), 2**30), min_size=1, max_size=4)


@given(
    weights=weights, added=st.integers(-(2**31), 2**31), seed=st.integers(0, 99), told=st.integers(0, 8192)
)
@settings(max_examples=10, deadline=None)
def test_sums_are_those_of_plain_numbers(weights: list[int], added: int, seed: int, told: int) -> None:
    scheme = Scheme()
    key = DecryptionKey(scheme)
    rows = np.random.default_rng(seed).uniform(-1, 1, (len(weights), PLACES))
    sums = weighed(PublicEnd(scheme, key.public), list(key.encrypt(rows)), weights, added, told=told)
    off = key.decrypt(sums)[:told] - (np.array(weights) @ rows + added)[:told]
    assert (np.abs(off) <= BOTH_FLOODS + 0.01).all()


def test_a_sum_is_told_in_parts(key: DecryptionKey, end: PublicEnd) -> None:
    """Each part tells its own places. Another one, uniform over 2^36, is within 2^10 of its number with
    chance 3e-8; two of 8,192 in any of four parts with 1.2e-7."""
    values = np.linspace(-1, 1, PLACES)
    parts = [range(100), range(100, 150), range(8000, PLACES), range(7, 7)]
    sums = end.weighted(list(key.encrypt([values])), [2**30], 0, told=parts)
    for part, data in zip(parts, sums, strict=True):
        read = key.decrypt(data, part)
        assert np.abs(read - values[part.start : part.stop] * 2**30).max(initial=0) <= 2**10
        near = np.abs(key.decrypt(data) - values * 2**30) <= 2**10
        assert near[part.start : part.stop].all()
        assert near.sum() <= len(part) + 1
    halves = {data[-8 * PLACES :] for data in sums}
    assert len(halves) == len(parts)  # each with a zero of its own


@pytest.mark.parametrize("part", [range(5, 4), range(0, 10, 2), range(-1, 5), range(8190, 8193)])
def test_parts_that_are_no_places_are_refused(key: DecryptionKey, end: PublicEnd, part: range) -> None:
    with pytest.raises(BadInput, match="places are told"):
        end.weighted(list(key.encrypt([np.ones(1)])), [1], 0, told=[part])


def test_the_largest_sums_do_not_wrap_around(key: DecryptionKey, end: PublicEnd) -> None:
    columns = list(key.encrypt([np.ones(PLACES), -np.ones(PLACES)]))
    half = 2 ** (WEIGHT_BITS - 2)
    sums = key.decrypt(weighed(end, columns, [half, -half], 2 * half, told=PLACES))
    assert np.abs(sums - 4 * half).max() <= BOTH_FLOODS + 1
    widest = weighed(end, columns, [-half, half], -2 * half, told=PLACES, flood_bits=MOST_FLOOD_BITS)
    assert np.abs(key.decrypt(widest) + 4 * half).max() <= flood_error(MOST_FLOOD_BITS) * 1.01


def test_weights_of_zero_are_no_special_case(key: DecryptionKey, end: PublicEnd) -> None:
    sums = key.decrypt(weighed(end, list(key.encrypt([np.ones(5)] * 2)), [0, 0], 7, told=5))
    assert np.abs(sums[:5] - 7).max() <= BOTH_FLOODS


def test_weights_that_are_too_large_are_refused_in_private(key: DecryptionKey, end: PublicEnd) -> None:
    with pytest.raises(BadInput) as refused:
        weighed(end, list(key.encrypt([np.ones(1)])), [2**WEIGHT_BITS], 1, told=1)
    assert refused.value.private


@pytest.mark.parametrize(("told", "bits"), [(-1, 91), (8193, 91), (1, 90), (1, 118)])
def test_a_flood_that_does_not_fit_is_refused(
    key: DecryptionKey, end: PublicEnd, told: int, bits: int
) -> None:
    with pytest.raises(BadInput, match="flood"):
        weighed(end, list(key.encrypt([np.ones(1)])), [1], 0, told=told, flood_bits=bits)


def test_errors_of_the_encryption_stay_below_what_the_flood_is_made_for(
    scheme: Scheme, key: DecryptionKey
) -> None:
    for column in key.encrypt([np.zeros(1)] * 8):
        errors = noise_of(scheme, key, column)
        assert np.abs(errors - np.round(errors)).max() < 1e-3
        assert 1 < np.abs(errors).max() <= 21.001


def test_without_the_flood_the_errors_tell_the_weights_and_with_it_they_do_not(
    scheme: Scheme, key: DecryptionKey, end: PublicEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key's holder knows the errors in its own ciphertexts, and what is left of them in the sum."""
    secret = [12_345_678, -2_000_000_000, 999, 0]
    columns = list(key.encrypt([np.zeros(1)] * len(secret)))
    errors = np.stack([noise_of(scheme, key, column) for column in columns], axis=1)

    def guessed() -> np.ndarray:
        left = key.decrypt(weighed(end, columns, secret, 0, told=PLACES)) * 2.0**84
        return np.linalg.lstsq(errors, left, rcond=None)[0]

    flooded = guessed()
    monkeypatch.setattr(ckks, "flood", lambda bits, count: [0] * count)
    bare = guessed()
    # the fresh zero's error is below 2^13, so a weight is told to within 2^13 / (3.2 sqrt(8192)) = 29 or so
    assert np.abs(bare - secret).max() < 500
    # a flood of deviation 2^91 / sqrt(3), twice, moves each of 4 guesses by 2^82: by less than 2^55 with
    # probability 2e-8
    assert np.abs(flooded - secret).min() > 2.0**55


def test_the_flood_is_uniform(key: DecryptionKey, end: PublicEnd) -> None:
    """The variance of 8,192 sums of two uniforms has a relative deviation of 1.2%: 10% is beyond 8 of them
    (false alarms below 1e-14); so is a mean beyond 8 deviations."""
    off = key.decrypt(weighed(end, list(key.encrypt([np.zeros(1)])), [5], 0, told=PLACES))
    expected = 2 * flood_error(LEAST_FLOOD_BITS) ** 2 / 3
    assert abs(off.var() / expected - 1) < 0.1
    assert abs(off.mean()) < 8 * (expected / PLACES) ** 0.5
    draws = flood(20, 4096)
    assert -(2**20) <= min(draws) < -(2**19) < 2**19 < max(draws) < 2**20


def test_places_that_are_not_told_are_hidden(key: DecryptionKey, end: PublicEnd) -> None:
    """A provider that puts more rows in than it says gets uniform numbers for them.

    8,092 of them: half are positive, half beyond half of the range; 300 is 6.7 deviations (4e-11).
    """
    told = 100
    values = np.linspace(-1, 1, PLACES)
    opened = key.decrypt(weighed(end, list(key.encrypt([values])), [2**30], 0, told=told))
    assert np.abs(opened[:told] - values[:told] * 2**30).max() <= BOTH_FLOODS + 0.01
    hidden = opened[told:]
    assert abs((hidden > 0).sum() - len(hidden) / 2) < 300
    assert abs((np.abs(hidden) > 2**34).sum() - len(hidden) / 2) < 300
    assert abs(np.corrcoef(hidden, values[told:])[0, 1]) < 8 / len(hidden) ** 0.5


def test_a_crafted_key_is_told_how_the_zero_was_encrypted_at_the_places_that_are_told(
    scheme: Scheme, key: DecryptionKey
) -> None:
    """The limit that `places_against_any_key` is about. A public key with a constant 2^160 among its errors
    looks like any other; what comes back then holds 2^100 times the ternary numbers of the fresh zero."""
    data = bytearray(scheme.plain_bytes("public key", key.public))
    start, moduli = len(data) - 81 - 3 * PLACES * 8, [int(m.value()) for m in key_moduli(scheme)]
    words = np.frombuffer(bytes(data[start : start + 3 * PLACES * 8]), dtype="<u8").reshape(3, PLACES).copy()
    for at, modulus in enumerate(moduli):
        words[at] = (words[at] + np.uint64(2**160 % modulus)) % np.uint64(modulus)
    data[start : start + 3 * PLACES * 8] = words.tobytes()
    told = 3000
    end = PublicEnd(scheme, bytes(data))
    opened = key.decrypt(weighed(end, list(key.encrypt([np.zeros(1)])), [5], 0, told=told)) / 2.0**16
    assert set(np.round(opened[:told]).tolist()) == {-1.0, 0.0, 1.0}
    assert np.abs(opened[:told] - np.round(opened[:told])).max() < 0.01
    # 5,192 uniform numbers within 2^19 either way: more than 20 of them within 1.5 has a chance below 1e-40
    assert (np.abs(opened[told:]) < 1.5).sum() < 20


def key_moduli(scheme: Scheme) -> Any:
    return scheme.library[1].key_context_data().parms().coeff_modulus()


def test_the_second_half_is_new_each_time(key: DecryptionKey, end: PublicEnd) -> None:
    columns = list(key.encrypt([np.ones(3)]))
    one, two = (weighed(end, columns, [3], 0, told=3)[-8 * PLACES :] for _ in range(2))
    alike = np.frombuffer(one, dtype="<u8") == np.frombuffer(two, dtype="<u8")
    assert alike.sum() <= 1  # 8,192 uniform words of 60 bits: two alike with probability 1e-29


def test_uniform_words_are_below_the_modulus() -> None:
    drawn = uniform_below(5, 1000)
    assert len(drawn) == 1000
    assert set(drawn.tolist()) == {0, 1, 2, 3, 4}  # one missing: 5 * 0.8^1000
    assert len(uniform_below(5, 0)) == 0


def test_another_key_opens_nothing(scheme: Scheme, key: DecryptionKey, end: PublicEnd) -> None:
    sums = weighed(end, list(key.encrypt([np.ones(PLACES)])), [1000], 0, told=PLACES)
    other = DecryptionKey(scheme).decrypt(sums)
    assert np.abs(other - 1000).min() > 1  # one of 8,192 uniform over 2^36 within 1 of it: 2.4e-7


def strange(scheme: Scheme, key: DecryptionKey) -> dict[str, bytes]:
    """What a stranger might send as a column."""
    seal, context = scheme.library
    made: dict[str, Any] = {}
    plain = scheme.encoded(np.ones(3))
    whole = seal.Ciphertext()
    key._encryptor.encrypt_symmetric(plain, whole)
    made["without its seed"] = whole
    other_scale = seal.Plaintext()
    scheme._encoder.encode(1.0, 2.0**40, other_scale)
    made["of another scale"] = key._encryptor.encrypt_symmetric(other_scale)
    made["of the key's level"] = key._encryptor.encrypt_zero_symmetric(context.key_parms_id())
    made["a secret key"] = seal.KeyGenerator(context).secret_key()
    parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
    parameters.set_poly_modulus_degree(8192)
    parameters.set_coeff_modulus(seal.CoeffModulus.Create(8192, [60, 59, 60]))
    foreign = seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.TC128)
    encoder, own = seal.CKKSEncoder(foreign), seal.Plaintext()
    encoder.encode(1.0, 2.0**84, own)
    made["of another modulus"] = seal.Encryptor(
        foreign, seal.KeyGenerator(foreign).secret_key()
    ).encrypt_symmetric(own)
    galois = seal.GaloisKeys()
    seal.KeyGenerator(context).create_galois_keys([1], galois)
    made["rotation keys"] = galois
    with folder() as path:
        found: dict[str, bytes] = {}
        for name, item in made.items():
            item.save(str(path / "item"))
            found[name] = (path / "item").read_bytes()
    return found


def test_only_columns_are_taken_for_columns(scheme: Scheme, key: DecryptionKey, end: PublicEnd) -> None:
    sound = next(key.encrypt([np.ones(3)]))
    wrong = strange(scheme, key) | {
        "nothing": b"",
        "cut off": sound[:-1],
        "with more": sound + b"x",
        "noise": b"\x5e" * len(sound),
        "of another version": sound[:3] + b"\x09" + sound[4:],
        "a public key": key.public,
    }
    for name, data in wrong.items():
        with pytest.raises(BadInput, match="this is no column"):
            weighed(end, [data], [1], 0, told=1)
        if name != "a public key" and name != "of the key's level":
            with pytest.raises(BadInput, match="this is no public key"):
                PublicEnd(scheme, data)
    with pytest.raises(BadInput, match="this is no sum"):
        key.decrypt(sound)


def test_a_bomb_is_refused_before_it_unfolds(end: PublicEnd) -> None:
    """A gigabyte of zeros, compressed to fit: as much is read as a column may have, and one byte."""
    body = pa.compress(bytes(2**28), codec="zstd", asbytes=True)
    bomb = struct.pack("<HBBBBHQ", 0xA15E, 16, 4, 3, 2, 0, 16 + len(body)) + body
    started = time.process_time()
    with pytest.raises(BadInput, match="this is no column"):
        weighed(end, [bomb], [1], 0, told=1)
    assert time.process_time() - started < 1.0


@given(at=st.integers(0, 131_000), value=st.integers(0, 255))
@settings(max_examples=25, deadline=None)
def test_a_changed_byte_is_refused_or_harmless(
    key: DecryptionKey, end: PublicEnd, at: int, value: int
) -> None:
    data = bytearray(next(key.encrypt([np.ones(3)])))
    data[at % len(data)] = value
    try:
        sums = weighed(end, [bytes(data)], [1], 0, told=1)
    except BadInput:
        return
    assert len(key.decrypt(sums)) == PLACES


@pytest.mark.parametrize(
    "values", [np.ones(PLACES + 1), np.ones((2, 2)), np.array([np.nan]), np.array([np.inf])]
)
def test_what_is_no_column_of_numbers_is_refused(key: DecryptionKey, values: np.ndarray) -> None:
    with pytest.raises(BadInput, match="finite numbers"):
        next(key.encrypt([values]))


def test_nothing_stays_on_the_disk(
    key: DecryptionKey, end: PublicEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    key.decrypt(weighed(end, list(key.encrypt([np.ones(2)])), [1], 0, told=2))
    assert list(tmp_path.iterdir()) == []
