"""Encrypted groups: sums come out exact but for the noise, and what is returned tells nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2, kstest

from comity import noise
from comity.crypto.bfv import SLOTS, DecryptionKey, Scheme
from comity.errors import BadInput, BadTable, ClauseRefused, UsageError
from comity.validate.blind_bfv import (
    EncryptedQuestion,
    count_calibration,
    encrypted_count,
    opened_count,
)
from comity.validate.mechanism import Price
from comity.validate.queries import GroupCounts, Joined, WeightedSum

PRICE = Price(1.0, 1e-6)


@pytest.fixture(scope="module")
def scheme() -> Scheme:
    return Scheme()


@pytest.fixture(scope="module")
def key(scheme: Scheme) -> DecryptionKey:
    return DecryptionKey(scheme)


def without_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "add_discrete_gaussian", lambda values, scale: values)


@pytest.mark.parametrize("bounds", [(0, 1), (-50, 950)])
@pytest.mark.parametrize("rows", [1, 9_000])
def test_sums_are_exact(
    rows: int, bounds: tuple[int, int], scheme: Scheme, key: DecryptionKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_noise(monkeypatch)
    draw = np.random.default_rng(rows)
    labels = draw.integers(bounds[0], bounds[1] + 1, rows)
    for query in (GroupCounts(draw.integers(0, 3, rows), 3), WeightedSum(draw.integers(-300, 301, rows))):
        question = EncryptedQuestion.from_message(*EncryptedQuestion.of(query, key, scheme).to_message())
        answer = encrypted_count(question, labels, PRICE, bounds=bounds, unsafe_unseen_groups=True)
        assert key.margin_bits(answer[0]) >= 1
        found = opened_count(answer, query, PRICE, key, scheme, bounds=bounds)
        weights = (
            [query.groups == at for at in range(3)] if isinstance(query, GroupCounts) else [query.weights]
        )
        assert found.values.tolist() == [float((row * labels).sum()) for row in weights]


def test_the_noise_is_the_calibrated_one(scheme: Scheme, key: DecryptionKey) -> None:
    """False alarm below 1e-7: 60 draws of a Gaussian by Kolmogorov and Smirnov."""
    rows = 50
    labels = np.ones(rows, dtype=np.int64)
    query = GroupCounts(np.arange(rows) % 60, 60)
    answer = encrypted_count(
        EncryptedQuestion.of(query, key, scheme), labels, PRICE, unsafe_unseen_groups=True
    )
    found = opened_count(answer, query, PRICE, key, scheme)
    assert kstest((found.values - query.sums(labels.astype(np.int8))) / found.deviation, "norm").pvalue > 1e-7


def test_slots_are_uniform_but_for_their_sum(scheme: Scheme, key: DecryptionKey) -> None:
    """Partial sums would tell labels. False alarm 1e-7: chi-squared over 64 bins of 8,192 slots."""
    rows = SLOTS
    labels = (np.arange(rows) < 4_000).astype(np.int64)
    query = GroupCounts(np.zeros(rows, np.int64), 1)
    (answer,) = encrypted_count(
        EncryptedQuestion.of(query, key, scheme), labels, PRICE, unsafe_unseen_groups=True
    )
    slots = key.decrypt(answer)
    for part in (slots, slots[:4_000], slots[4_000:]):
        counts = np.bincount(part * 64 // scheme.plain_modulus, minlength=64)
        expected = len(part) / 64
        assert float(((counts - expected) ** 2 / expected).sum()) < chi2.ppf(1 - 1e-7, 63)


def test_a_count_over_unseen_groups_has_to_be_allowed_by_name(scheme: Scheme, key: DecryptionKey) -> None:
    query = GroupCounts(np.zeros(3, np.int64), 1)
    question = EncryptedQuestion.of(query, key, scheme)
    with pytest.raises(ClauseRefused, match="cannot see the groups"):
        encrypted_count(question, np.zeros(3, np.int64), PRICE)
    with pytest.raises(BadTable):
        encrypted_count(question, np.array([0, 2, 0]), PRICE, unsafe_unseen_groups=True)


def test_an_ml_party_that_lies_about_its_weights_learns_labels(scheme: Scheme, key: DecryptionKey) -> None:
    """Control for what the docs say: nothing but trust holds the unseen weights to what was stated.

    A wrong guess needs noise of more than 100 standard deviations.
    """
    rows = 20
    labels = np.random.default_rng(5).integers(0, 2, rows)
    lie = EncryptedQuestion.of(WeightedSum(np.eye(1, rows, 7, dtype=np.int64)[0] * 1000), key, scheme)
    question = EncryptedQuestion(rows, 1, lie.public, lie.ciphers)
    answer = encrypted_count(question, labels, PRICE, unsafe_unseen_groups=True)
    honest = WeightedSum(np.ones(rows, dtype=np.int64))
    found = opened_count(answer, honest, PRICE, key, scheme).values[0]
    assert (found > 500) == (labels[7] == 1)


def test_what_does_not_fit_is_refused(scheme: Scheme, key: DecryptionKey) -> None:
    with pytest.raises(UsageError):
        EncryptedQuestion.of(Joined((GroupCounts(np.zeros(3, np.int64), 1),), (1,)), key, scheme)
    with pytest.raises(UsageError):
        count_calibration(10, 1, 1, (1, 1), PRICE)
    with pytest.raises(UsageError, match="delta"):
        count_calibration(500_000, 100, 1, (0, 1), Price(1.0, 1e-9))


@pytest.mark.parametrize("change", ["cut", "noise", "key"])
def test_broken_ciphertexts_and_keys_are_refused(change: str, scheme: Scheme, key: DecryptionKey) -> None:
    question = EncryptedQuestion.of(GroupCounts(np.zeros(3, np.int64), 1), key, scheme)
    body, parts = question.to_message()
    name = "public" if change == "key" else "0.0"
    parts[name] = parts[name][:1000] if change != "noise" else b"\xff" * 1000
    broken = EncryptedQuestion.from_message(body, parts)
    with pytest.raises(BadInput):
        encrypted_count(broken, np.zeros(3, np.int64), PRICE, unsafe_unseen_groups=True)


@pytest.mark.parametrize(
    "changes",
    [{"records": 0}, {"records": 9_000}, {"sums": 2}, {"largest": True}, {"largest": 2**21}, {"more": 1}],
)
def test_only_the_stated_form_is_read(changes: dict[str, Any], scheme: Scheme, key: DecryptionKey) -> None:
    body, parts = EncryptedQuestion.of(GroupCounts(np.zeros(3, np.int64), 1), key, scheme).to_message()
    with pytest.raises(BadInput):
        EncryptedQuestion.from_message({**body, **changes}, parts)


def test_the_provider_receives_ciphertexts_whose_size_tells_no_group(
    scheme: Scheme, key: DecryptionKey
) -> None:
    """Sizes vary by the compression of uniform words only: a part in a hundred at most."""
    none, all_ = (GroupCounts(np.full(100, at), 2) for at in (0, 1))
    sizes = [
        len(data)
        for query in (none, all_)
        for row in EncryptedQuestion.of(query, key, scheme).ciphers
        for data in row
    ]
    assert max(sizes) < 1.01 * min(sizes)
