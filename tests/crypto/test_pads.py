"""Pads and tokens: streams of uniform words, the same for the same key."""

from __future__ import annotations

import os

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from scipy.stats import chi2

from comity.crypto.pads import cut, pad, tokens
from comity.errors import BadInput

FALSE_ALARM = 1e-7


@pytest.mark.parametrize("count", [0, 1, 2, 3, 1000, 131_072, 131_073, 300_001])
def test_a_pad_is_aes_in_counter_mode(count: int) -> None:
    key = bytes(range(32))
    stream = Cipher(AES256(key), CTR(bytes(16))).encryptor().update(bytes(8 * count))
    assert pad(key, count).tobytes() == stream


def test_a_shorter_pad_is_a_longer_ones_beginning() -> None:
    key = os.urandom(32)
    assert np.array_equal(pad(key, 10), pad(key, 200_000)[:10])


def test_a_negative_length_is_refused() -> None:
    with pytest.raises(BadInput):
        pad(bytes(32), -1)


def bytes_look_uniform(words: np.ndarray) -> bool:
    """A chi-squared test over byte values; a uniform source fails it with probability 1e-7."""
    counts = np.bincount(words.view(np.uint8), minlength=256)
    expected = counts.sum() / 256
    return float(((counts - expected) ** 2 / expected).sum()) < chi2.ppf(1 - FALSE_ALARM, 255)


def test_labels_under_a_pad_are_uniform_bytes_and_without_it_they_are_not() -> None:
    labels = (np.arange(50_000) % 3 == 0).astype(np.uint64)
    assert bytes_look_uniform(labels + pad(os.urandom(32), len(labels)))
    assert not bytes_look_uniform(labels)


def test_tokens_are_distinct_and_other_keys_give_others() -> None:
    one, other = tokens(os.urandom(32), 10_000), tokens(os.urandom(32), 10_000)
    assert len(np.unique(one)) == 10_000
    assert not np.intersect1d(one, other).size


def test_summands_add_up_and_any_but_all_of_them_are_uniform() -> None:
    words = np.arange(30_000, dtype=np.uint64)
    for parts in (1, 2, 3, 5):
        found = cut(words, parts)
        assert len(found) == parts
        assert np.array_equal(np.add.reduce(found), words)
    first, second, third = cut(words, 3)
    for seen in (first, second, third, first + second, second + third, first + third):
        assert bytes_look_uniform(seen)
    with pytest.raises(BadInput):
        cut(words, 0)
