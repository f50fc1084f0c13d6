"""Blind validation: the ML party reads what it should, and nobody else reads anything."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from comity.crypto.exchange import SharedKey
from comity.errors import BadInput
from comity.validate.blind import (
    PadKeys,
    PadSum,
    Pooled,
    TokenOrder,
    Upload,
    masked_answer,
    opened,
    provider_sigma,
    second_noise,
    total_deviation,
)
from comity.validate.blind_query import permuted
from comity.validate.mechanism import Price, calibrate
from comity.validate.queries import GroupCounts, Joined, Query, WeightedSum
from comity.validate.request import ScoreStatistics

FALSE_ALARM = 1e-7


def keys_of(providers: int) -> list[PadKeys]:
    return [
        PadKeys(SharedKey(os.urandom(32)), f"p{at}", "agreement", os.urandom(16).hex())
        for at in range(providers)
    ]


def upload_all(
    owner: np.ndarray, labels: np.ndarray, order: TokenOrder, keys: list[PadKeys]
) -> dict[str, Upload]:
    return {
        key.provider: Upload.of((owner == at).astype(np.int8), labels, order, key)
        for at, key in enumerate(keys)
    }


def queries(rows: int, draw: np.random.Generator) -> list[Query]:
    groups = GroupCounts(draw.integers(0, 4, rows), 4)
    ranks = WeightedSum.ranks(draw.random(rows))
    codes = draw.integers(0, 3, (rows, 2)).astype(np.uint16)
    mix = draw.integers(-1000, 1000, (6, 5)).astype(np.int32)
    return [groups, ranks, Joined((groups, ranks), (7, 2)), ScoreStatistics(codes, (3, 3), mix, 900)]


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 60), providers=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_what_is_opened_is_the_sum_of_all_labels_plus_noise(seed: int, rows: int, providers: int) -> None:
    draw = np.random.default_rng(seed)
    owner, labels = draw.integers(0, providers, rows), draw.integers(0, 2, rows).astype(np.int8)
    keys, order = keys_of(providers), TokenOrder.over(rows, os.urandom(32))
    pooled = Pooled.over(upload_all(owner, labels, order, keys).items())
    for query in queries(rows, draw):
        calibration = calibrate(query, Price(1.0, 1e-6))
        second = os.urandom(32)
        summands = masked_answer(
            pooled, permuted(query, order.places), "label", calibration, second, providers
        )
        noisy = [second_noise(words, calibration, providers) for words in summands]
        found = opened(
            noisy, permuted(query, order.places), calibration, second, PadSum.over(keys, "label", order)
        )
        # a Gaussian passes eight standard deviations with probability 1.3e-15
        assert np.abs(found - query.sums(labels)).max() < 8 * total_deviation(calibration, providers)


def test_membership_counts_are_there_too_and_records_nobody_holds_count_for_nothing() -> None:
    rows = 400
    owner = np.arange(rows) % 3 - 1  # -1: nobody
    labels = np.ones(rows, dtype=np.int8)
    keys, order = keys_of(2), TokenOrder.over(rows, os.urandom(32))
    pooled = Pooled.over(upload_all(owner, labels, order, keys).items())
    query = GroupCounts(np.zeros(rows, dtype=np.int64), 1)
    calibration, second = calibrate(query, Price(8.0, 1e-3)), os.urandom(32)
    for field in ("held", "label"):
        answer = masked_answer(pooled, permuted(query, order.places), field, calibration, second, 2)
        noisy = [second_noise(words, calibration, 2) for words in answer]
        found = opened(
            noisy, permuted(query, order.places), calibration, second, PadSum.over(keys, field, order)
        )
        assert abs(found[0] - (owner >= 0).sum()) < 8 * total_deviation(calibration, 2)


def looks_uniform(words: np.ndarray) -> bool:
    counts = np.bincount(np.ascontiguousarray(words).view(np.uint8), minlength=256)
    expected = counts.sum() / 256
    return float(((counts - expected) ** 2 / expected).sum()) < chi2.ppf(1 - FALSE_ALARM, 255)


def test_the_mediator_gets_uniform_words_and_a_provider_too() -> None:
    """False alarms: six chi-squared tests at 1e-7 each."""
    rows, providers = 20_000, 2
    owner, labels = np.zeros(rows, dtype=np.int64), np.ones(rows, dtype=np.int8)
    keys, order = keys_of(providers), TokenOrder.over(rows, os.urandom(32))
    uploads = upload_all(owner, labels, order, keys)
    for upload in uploads.values():
        assert looks_uniform(upload.held)
        assert looks_uniform(upload.label)
    pooled = Pooled.over(uploads.items())
    assert looks_uniform(pooled.fields["label"])
    wide = GroupCounts(np.arange(rows), rows)
    calibration = calibrate(wide, Price(1.0, 1e-6))
    for words in masked_answer(pooled, wide, "label", calibration, os.urandom(32), providers):
        assert looks_uniform(words)


def test_what_a_provider_holds_does_not_show_in_its_upload_size() -> None:
    rows = 1000
    order, (key,) = TokenOrder.over(rows, os.urandom(32)), keys_of(1)
    none, all_ = np.zeros(rows, dtype=np.int8), np.ones(rows, dtype=np.int8)
    few = Upload.of(none, none, order, key).to_parts()
    many = Upload.of(all_, all_, order, key).to_parts()
    assert {name: len(data) for name, data in few.items()} == {name: len(data) for name, data in many.items()}


def test_missing_unknown_or_doubled_tokens_stop_before_counting() -> None:
    rows = 50
    owner, labels = np.zeros(rows, dtype=np.int64), np.ones(rows, dtype=np.int8)
    keys, order = keys_of(2), TokenOrder.over(rows, os.urandom(32))
    uploads = upload_all(owner, labels, order, keys)
    stranger = TokenOrder.over(rows, os.urandom(32))
    uploads["p1"] = Upload.of(labels, labels, stranger, keys[1])
    with pytest.raises(BadInput, match="different tokens"):
        Pooled.over(uploads.items())
    with pytest.raises(BadInput, match="twice"):
        Pooled.over([("p0", uploads["p0"]), ("p0", uploads["p0"])])
    parts = uploads["p0"].to_parts()
    doubled = parts["tokens"][:8] + parts["tokens"][:8] + parts["tokens"][16:]
    with pytest.raises(BadInput, match="twice"):
        Upload.from_parts({**parts, "tokens": doubled}, records=rows)
    for broken in ({**parts, "tokens": parts["tokens"][8:]}, {"tokens": parts["tokens"]}):
        with pytest.raises(BadInput):
            Upload.from_parts(broken, records=rows)
    with pytest.raises(BadInput):
        Upload.from_parts(parts, records=rows + 1)


def test_an_upload_takes_zeros_and_ones_only_and_its_error_is_the_holders() -> None:
    order, (key,) = TokenOrder.over(3, os.urandom(32)), keys_of(1)
    with pytest.raises(BadInput) as caught:
        Upload.of(np.ones(3, np.int8), np.array([0, 1, 2], np.int8), order, key)
    assert caught.value.private


def test_pads_of_other_uploads_fields_agreements_and_providers_differ() -> None:
    shared = SharedKey(os.urandom(32))
    one = PadKeys(shared, "north", "a", "00" * 16)
    others = [
        one.pad_key("held"),
        PadKeys(shared, "south", "a", "00" * 16).pad_key("label"),
        PadKeys(shared, "north", "b", "00" * 16).pad_key("label"),
        PadKeys(shared, "north", "a", "01" * 16).pad_key("label"),
    ]
    assert len({one.pad_key("label"), *others}) == 5
    with pytest.raises(BadInput):
        one.pad_key("age")


def test_a_reused_pad_is_noticed_before_it_is_counted_on() -> None:
    shared = SharedKey(os.urandom(32))
    same = PadKeys(shared, "north", "a", "00" * 16)
    with pytest.raises(BadInput, match="reused"):
        PadSum.over([same, same], "label", TokenOrder.over(10, os.urandom(32)))


@pytest.mark.parametrize("providers", [1, 2, 3, 7])
def test_all_providers_but_one_still_add_the_full_noise(providers: int) -> None:
    query = GroupCounts(np.zeros(10, dtype=np.int64), 1)
    calibration = calibrate(query, Price(1.0, 1e-6))
    left = max(1, providers - 1)
    assert left * provider_sigma(calibration, providers) ** 2 == pytest.approx(calibration.scale**2)
    assert total_deviation(calibration, providers) == pytest.approx(
        calibration.deviation * np.sqrt(1 + providers / left)
    )
