"""Encrypted groups: sums come out exact but for the noise, and what is returned tells nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2, kstest

from comity import noise
from comity.crypto.bfv import SLOTS, DecryptionKey, Scheme
from comity.errors import BadInput, BadTable, ClauseRefused, UsageError
from comity.validate.blind import provider_sigma, total_calibration
from comity.validate.blind_bfv import (
    added_counts,
    count_calibration,
    encrypted_count,
    masked_count,
    opened_count,
    opened_sums,
)
from comity.validate.blind_bfv_question import EncryptedQuestion, Shape, coarser_bits, weights_of
from comity.validate.blind_groups import question_of
from comity.validate.class_queries import ClassCounts
from comity.validate.mechanism import Price
from comity.validate.queries import GroupCounts, Joined, WeightedSum
from comity.validate.request import ScoreStatistics

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
        EncryptedQuestion.of(ClassCounts(np.zeros(3, np.int64), 1, 3), key, scheme)
    with pytest.raises(UsageError, match="128 sums"):
        EncryptedQuestion.of(GroupCounts(np.zeros(3, np.int64), 200), key, scheme)
    with pytest.raises(UsageError):
        count_calibration(Shape(10, 1, 1), (1, 1), PRICE)
    with pytest.raises(UsageError, match="delta"):
        count_calibration(Shape(500_000, 100, 1), (0, 1), Price(1.0, 1e-9))


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


def linear_queries(rows: int) -> list[Any]:
    draw = np.random.default_rng(rows)
    scores, groups = draw.random(rows), np.arange(rows) % 2
    codes = draw.integers(0, 3, (rows, 2)).astype(np.uint16)
    statistics = ScoreStatistics(codes, (3, 3), draw.integers(-900, 900, (6, 5)).astype(np.int32), 1 << 18)
    by_group = question_of(scores, ("auc", "accuracy"), threshold=0.5, minimum=1, groups=groups).query
    plain = question_of(scores, ("auc", "calibration", "confusion"), threshold=0.5, minimum=1).query
    return [GroupCounts(groups, 2), statistics, plain, by_group, Joined((GroupCounts(groups, 2),), (3,))]


def test_every_linear_question_has_weights_within_the_length_that_is_stated() -> None:
    rows = 60
    labels = np.random.default_rng(1).integers(0, 2, rows).astype(np.int8)
    for query in linear_queries(rows):
        weights = np.array(weights_of(query)).T
        shape = Shape.of(query)
        assert weights.shape == (rows, shape.sums)
        assert np.square(weights).sum(axis=1).max() <= shape.largest**2
        step = 2.0 ** coarser_bits(query)
        off = np.abs(labels @ weights * step - query.sums(labels)).max()
        assert off <= 0.5 * step * labels.sum()
        assert coarser_bits(query) > 0 or off == 0


@pytest.mark.parametrize("providers", [1, 3])
def test_the_sum_over_providers_comes_out_exact_but_for_the_noise(
    providers: int, scheme: Scheme, key: DecryptionKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_noise(monkeypatch)
    rows = 9_000
    draw = np.random.default_rng(providers)
    labels, holder = draw.integers(0, 2, rows), draw.integers(0, providers, rows)
    query = GroupCounts(draw.integers(0, 3, rows), 3)
    question = EncryptedQuestion.of(query, key, scheme)
    calibration = count_calibration(question.shape, (0, 1), PRICE, parties=providers)
    answers = [
        masked_count(question, labels * (holder == at), calibration, 1.0, parties=providers)
        for at in range(providers)
    ]
    total = added_counts(answers, key.public, calibration)
    found = opened_sums(total, query, total_calibration(calibration, providers), key, scheme)
    assert found.values.tolist() == query.sums(labels.astype(np.int8)).tolist()
    with pytest.raises(BadInput, match="different numbers"):
        added_counts([answers[0], answers[0][:1]], key.public, calibration)


def test_the_noise_is_that_of_both_sides(scheme: Scheme, key: DecryptionKey) -> None:
    """False alarm below 1e-7: 60 draws of a Gaussian by Kolmogorov and Smirnov."""
    rows, providers = 60, 2
    query = GroupCounts(np.arange(rows) % 60, 60)
    question = EncryptedQuestion.of(query, key, scheme)
    calibration = count_calibration(question.shape, (0, 1), PRICE, parties=providers)
    scale = provider_sigma(calibration, providers)
    labels = np.ones(rows, dtype=np.int64)
    answers = [
        masked_count(question, labels * (np.arange(rows) % 2 == at), calibration, scale, parties=providers)
        for at in range(providers)
    ]
    total = total_calibration(calibration, providers)
    found = opened_sums(added_counts(answers, key.public, calibration), query, total, key, scheme)
    assert kstest((found.values - 1) / found.deviation, "norm").pvalue > 1e-7
    # the mediator alone, or the ML party with one provider's answer, has a provider's full sigma to get past
    (own,) = [opened_sums(answers[0], query, calibration, key, scheme)]
    assert kstest((own.values - labels * (np.arange(rows) % 2 == 0)) / own.deviation, "norm").pvalue > 1e-7


def test_the_noise_follows_providers_per_record_and_portions() -> None:
    shape = Shape(1000, 4, 1)
    one, two = (count_calibration(shape, (0, 1), PRICE, holders=holders).deviation for holders in (1, 2))
    assert two == pytest.approx(2 * one, rel=1e-3)
    quarter = count_calibration(shape, (0, 1), PRICE, portion=0.25).deviation
    assert quarter == pytest.approx(2 * one, rel=1e-3)
