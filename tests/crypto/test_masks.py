"""Masks: the stream of ChaCha20 under keys that both ends derive and nobody else."""

from __future__ import annotations

import numpy as np
import pytest

from comity.crypto import masks
from comity.errors import BadInput, VerificationFailed


def test_the_stream_is_that_of_rfc_8439() -> None:
    """Appendix A.1, test vector 1: key, nonce and counter of zeros."""
    stream = masks.mask(bytes(32), 8).astype("<u8").tobytes()
    assert stream.hex() == (
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
    )


def test_a_long_stream_begins_as_a_short_one() -> None:
    key = masks.seed()
    long = masks.mask(key, 300_000)
    assert np.array_equal(long[:10], masks.mask(key, 10))
    assert len(np.unique(long)) == len(long)


def test_both_ends_derive_one_key_per_use() -> None:
    (one, public_one), (two, public_two) = masks.key_pair(), masks.key_pair()
    key = masks.exchange_key(one, public_two, round=1)
    assert key == masks.exchange_key(two, public_one, round=1)
    assert key != masks.exchange_key(one, public_two, round=2)
    assert masks.public_half(one) == public_one
    assert np.array_equal(masks.mask(key, 4) - masks.mask(key, 4), np.zeros(4, dtype=np.uint64))


def test_a_key_that_everybody_could_answer_is_refused() -> None:
    with pytest.raises(VerificationFailed, match="not usable"):
        masks.exchange_key(masks.key_pair()[0], bytes(32), round=1)


def test_masks_have_a_key_and_an_end() -> None:
    for key, count in ((b"short", 1), (bytes(32), -1), (bytes(32), masks.LONGEST + 1)):
        with pytest.raises(BadInput):
            masks.mask(key, count)
