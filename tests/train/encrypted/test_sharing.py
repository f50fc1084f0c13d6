"""Shares: all of them open, one of them says nothing, and the engine reads them as its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from comity.errors import BadInput, UsageError, VerificationFailed
from comity.train.encrypted.engine import libspu, runtime_config
from comity.train.encrypted.settings import BITS
from comity.train.encrypted.sharing import (
    SCHEMES,
    held,
    opened,
    scheme_of,
    split,
    to_values,
    to_words,
)

SCHEME = st.sampled_from(list(SCHEMES.values()))
WORDS = arrays(np.uint64, st.integers(0, 20))


@given(words=WORDS, scheme=SCHEME, own=st.none() | st.integers(0, 1))
def test_all_shares_together_open(words: np.ndarray, scheme: object, own: int | None) -> None:
    parts = split(words, scheme, own=own)
    shares = [held(part, scheme, rank, words.size) for rank, part in enumerate(parts)]
    assert np.array_equal(opened(shares, scheme), words)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=str)
def test_who_computes_sends_words_to_one_other_party_at_most(scheme: object) -> None:
    words = np.arange(1000, dtype=np.uint64)
    for own in range(scheme.parties):
        sent = [part for rank, part in enumerate(split(words, scheme, own=own)) if rank != own]
        assert sum(len(data) for part in sent for data in part.values()) < 8 * 1000 + 32 * 4


def test_one_share_is_no_function_of_the_values() -> None:
    """Every bit of what one party holds is a coin: of 64,000 bits 3.2% off a half has probability < 1e-50."""
    zeros = np.zeros(1000, dtype=np.uint64)
    for scheme in SCHEMES.values():
        for rank, part in enumerate(split(zeros, scheme)):
            for place in range(scheme.held):
                words = np.ascontiguousarray(held(part, scheme, rank, 1000)[:, place])
                ones = np.unpackbits(words.view(np.uint8)).mean()
                assert abs(ones - 0.5) < 0.032


@given(arrays(np.float64, 8, elements=st.floats(-1e6, 1e6)))
def test_fixed_point_is_off_by_half_a_unit_at_most(values: np.ndarray) -> None:
    assert np.abs(to_values(to_words(values, BITS), BITS) - values).max() <= 2.0 ** -(BITS + 1) * (1 + 1e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e9])
def test_what_does_not_fit_stays_with_its_holder(value: float) -> None:
    with pytest.raises(BadInput) as error:
        to_words(np.array([value]), BITS)
    assert error.value.private


def test_shares_that_contradict_each_other_are_refused() -> None:
    scheme = SCHEMES["aby3"]
    shares = [held(part, scheme, rank, 3) for rank, part in enumerate(split(np.ones(3, np.uint64), scheme))]
    shares[1] = shares[1] + np.uint64(1)
    with pytest.raises(VerificationFailed):
        opened(shares, scheme)


def test_a_share_of_another_rank_or_size_is_refused() -> None:
    scheme = SCHEMES["aby3"]
    parts = split(np.ones(3, np.uint64), scheme)
    for wrong, rank, count in ((parts[0], 1, 3), (parts[0], 0, 4), (parts[0] | parts[1], 0, 3), ({}, 0, 0)):
        with pytest.raises(BadInput):
            held(wrong, scheme, rank, count)


@pytest.mark.parametrize("name", ["semi2k", "ref2k", "securenn", ""])
def test_protocols_that_do_not_protect_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="aby3"):
        scheme_of(name)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=str)
def test_the_engine_opens_our_shares_and_we_open_its(scheme: object) -> None:
    import spu

    values = np.linspace(-3, 3, 6, dtype=np.float32).reshape(2, 3)
    io = spu.Io(scheme.parties, runtime_config(scheme))
    made = io.make_shares(values, libspu().Visibility.VIS_SECRET)
    assert bytes(made[0].meta).endswith(scheme.storage.encode())
    shares = []
    for rank, share in enumerate(made):
        piece = libspu().ValueChunk()
        piece.ParseFromString(share.share_chunks[0])
        shares.append(np.frombuffer(piece.content, "<u8").reshape(-1, scheme.held))
        ours = held(split(to_words(values, BITS), scheme)[rank], scheme, rank, 6)
        assert ours.shape == shares[-1].shape
    assert np.allclose(to_values(opened(shares, scheme), BITS).reshape(2, 3), values, atol=2.0**-BITS)
    parts = split(to_words(values, BITS), scheme)
    for rank, share in enumerate(made):
        piece = libspu().ValueChunk()
        piece.ParseFromString(share.share_chunks[0])
        piece.content = held(parts[rank], scheme, rank, 6).tobytes()
        share.share_chunks = [piece.SerializeToString()]
    assert np.allclose(io.reconstruct(made), values, atol=2.0**-BITS)
