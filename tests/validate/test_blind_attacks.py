"""Attacks on blind validation, with controls that show what the stated assumptions are for."""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression

from comity.crypto.exchange import SharedKey
from comity.crypto.pads import pad, tokens
from comity.validate.blind import (
    PadKeys,
    PadSum,
    Pooled,
    TokenOrder,
    Upload,
    masked_answer,
    opened,
    second_noise,
    total_deviation,
)
from comity.validate.blind_price import portion_calibration
from comity.validate.blind_query import CodedCounts, permuted, to_message
from comity.validate.mechanism import Price
from comity.validate.queries import GroupCounts, WeightedSum

ROWS = 20_000
PRICE = Price(1.0, 1e-6)


class World:
    """Two providers, fair-coin labels, a mediator, an ML party; who holds what is a fair coin too."""

    def __init__(self, seed: int = 0, rows: int = ROWS) -> None:
        draw = np.random.default_rng(seed)
        self.rows = rows
        self.labels = draw.integers(0, 2, rows).astype(np.int8)
        self.owner = draw.integers(0, 2, rows)
        self.scores = draw.random(rows)
        self.token_key = os.urandom(32)
        self.order = TokenOrder.over(rows, self.token_key)
        self.keys = [
            PadKeys(SharedKey(os.urandom(32)), f"p{at}", "agreement", os.urandom(16).hex()) for at in range(2)
        ]
        self.uploads = {
            key.provider: Upload.of((self.owner == at).astype(np.int8), self.labels, self.order, key)
            for at, key in enumerate(self.keys)
        }


def bits(words: np.ndarray) -> np.ndarray:
    return np.unpackbits(words.astype("<u8").view(np.uint8).reshape(len(words), 8), axis=1)


def test_labels_cannot_be_learned_from_what_the_mediator_sees() -> None:
    """The adversary has every bit of both uploads and tokens, and half of the labels to learn from.

    False alarm below 1e-7: 10,000 fair coins, 5.3 standard deviations, both ways.
    """
    world = World()
    view = np.column_stack(
        [bits(words) for upload in world.uploads.values() for words in (upload.held, upload.label)]
        + [bits(world.order.tokens)]
    ).astype(np.float32)
    truth = world.labels[world.order.places]
    half = ROWS // 2
    model = LogisticRegression(C=1e-3, max_iter=200).fit(view[:half], truth[:half])
    right = float((model.predict(view[half:]) == truth[half:]).mean())
    assert abs(right - 0.5) < 5.4 * 0.5 / np.sqrt(half)
    # nor who holds a record
    holder = world.owner[world.order.places]
    model = LogisticRegression(C=1e-3, max_iter=200).fit(view[:half], holder[:half])
    right = float((model.predict(view[half:]) == holder[half:]).mean())
    assert abs(right - 0.5) < 5.4 * 0.5 / np.sqrt(half)


def test_the_mediators_order_says_nothing_of_the_frames() -> None:
    """False alarm below 1e-7: a rank correlation of 20,000 places has standard deviation 1 / sqrt(n)."""
    world = World()
    assert abs(float(spearmanr(world.order.places, np.arange(ROWS)).statistic)) < 5.4 / np.sqrt(ROWS)


def test_control_the_mediator_and_the_ml_party_together_open_every_label() -> None:
    """What the assumption that they do not collude is for: pads off one side, words from the other."""
    world = World()
    for at, key in enumerate(world.keys):
        upload = world.uploads[key.provider]
        labels = np.empty(ROWS, dtype=np.uint64)
        labels[world.order.places] = upload.label
        labels -= pad(key.pad_key("label"), ROWS)
        assert np.array_equal(labels == 1, (world.labels == 1) & (world.owner == at))


def test_control_the_mediator_and_a_provider_together_open_the_groups_and_no_other_label() -> None:
    """The provider has the token key, so the questions' rows get their ids back: predictions are open.
    Another provider's words stay uniform under a key that neither has. False alarm below 1e-7."""
    world = World()
    groups = (world.scores * 10).astype(np.int64)
    asked = permuted(GroupCounts(groups, 10), world.order.places)
    assert isinstance(asked, CodedCounts)
    found = np.empty(ROWS, dtype=np.int64)
    found[np.argsort(tokens(world.token_key, ROWS))] = asked.codes
    assert np.array_equal(found, groups)

    words = np.empty(ROWS, dtype=np.uint64)
    words[world.order.places] = world.uploads["p1"].label
    wrong = words - pad(world.keys[0].pad_key("label"), ROWS)
    guess = (wrong & np.uint64(1)).astype(np.int8)
    assert abs(float((guess == world.labels).mean()) - 0.5) < 5.4 * 0.5 / np.sqrt(ROWS)


def test_control_a_mediator_without_its_noise_still_leaves_the_providers() -> None:
    """Two-sided noise: with the mediator's noise left out, what is opened is off by the providers' own."""
    world = World(rows=2_000)
    query = GroupCounts(np.arange(2_000) % 400, 400)
    calibration = portion_calibration(query, PRICE)
    pooled, second = Pooled.over(world.uploads.items()), os.urandom(32)
    turned = permuted(query, world.order.places)
    sums = turned.padded_sums(pooled.fields["label"]) << np.uint64(calibration.shift)
    hidden = sums + pad(second, 400)
    summands = [second_noise(words, calibration, 2) for words in (hidden, np.zeros(400, dtype=np.uint64))]
    found = opened(summands, turned, calibration, second, PadSum.over(world.keys, "label", world.order))
    error = found - query.sums(world.labels)
    # variance of 400 Gaussians, within six standard deviations of itself
    assert error.std() / calibration.deviation > np.sqrt(2) * (1 - 6 / np.sqrt(800))


def answers(world: World, query: Any, times: int) -> np.ndarray:
    """Fresh sessions over the same labels, as if each had been paid for anew."""
    calibration = portion_calibration(query, PRICE)
    found = []
    for _ in range(times):
        pooled, second = Pooled.over(world.uploads.items()), os.urandom(32)
        turned = permuted(query, world.order.places)
        summands = masked_answer(pooled, turned, "label", calibration, second, 2)
        noisy = [second_noise(words, calibration, 2) for words in summands]
        found.append(
            opened(noisy, turned, calibration, second, PadSum.over(world.keys, "label", world.order))
        )
    return np.array(found)


def test_a_canarys_label_is_guessed_no_better_than_epsilon_allows() -> None:
    """The ML party knows every other label; the canary is a fair coin. The bound is for one side's noise, so
    both sides' leave room. False alarm below 1e-7: 800 trials, 5.4 standard deviations above the bound."""
    world = World(rows=20)
    query = WeightedSum(np.eye(1, 20, 3, dtype=np.int64)[0])
    bound = (np.exp(1.0) + 1e-6) / (1 + np.exp(1.0))
    found = answers(world, query, 800)[:, 0]
    right = float(((found > 0.5) == (world.labels[3] == 1)).mean())
    assert right < bound + 5.4 * 0.5 / np.sqrt(800)
    spread = found.std() / total_deviation(portion_calibration(query, PRICE), 2)
    assert abs(spread - 1) < 6 / np.sqrt(1600)


def lines_run(held: np.ndarray, labels: np.ndarray, world: World) -> list[tuple[str, int]]:
    """Every line of the package that an upload takes, in order."""
    seen: list[tuple[str, int]] = []

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        if "comity" not in frame.f_code.co_filename:
            return None
        if event == "line":
            seen.append((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        parts = Upload.of(held, labels, world.order, world.keys[0]).to_parts()
    finally:
        sys.settrace(before)
    assert {len(data) for data in parts.values()} == {8 * world.rows}
    return seen


def test_an_upload_takes_the_same_steps_whatever_is_held() -> None:
    world = World(rows=500)
    none, all_ = np.zeros(500, dtype=np.int8), np.ones(500, dtype=np.int8)
    steps = [lines_run(held, labels, world) for held in (none, all_) for labels in (none, all_, world.labels)]
    assert len(steps[0]) > 10
    assert all(one == steps[0] for one in steps)


def test_model_stealing_needs_scores_and_the_blind_provider_has_none() -> None:
    """Control: what a provider is sent in linked validation ranks records as the model does (2.A); what it is
    sent in blind validation are sums under a pad, uniform and as many as there are groups."""
    world = World()
    _, parts = to_message(GroupCounts((world.scores * 20).astype(np.int64), 20))
    bins = np.frombuffer(parts["groups"], dtype=np.uint8)
    assert float(spearmanr(bins, world.scores).statistic) > 0.99

    query = GroupCounts((world.scores * 20).astype(np.int64), 20)
    calibration = portion_calibration(query, PRICE)
    turned = permuted(query, world.order.places)
    pooled = Pooled.over(world.uploads.items())
    sent = (
        np.array(
            [
                masked_answer(pooled, turned, "label", calibration, os.urandom(32), 2)[0] >> np.uint64(11)
                for _ in range(200)
            ]
        )
        / 2.0**53
    )
    assert sent.shape == (200, 20)
    # means of 200 uniform numbers per group say nothing of the group: 20 tests at 1e-8 each, and a rank
    # correlation of 20 places beyond 0.95 has probability under 1e-9
    assert np.abs(sent.mean(axis=0) - 0.5).max() < 5.8 / np.sqrt(12 * 200)
    correlation = float(spearmanr(sent.mean(axis=0), query.sums(world.labels)).statistic)
    assert abs(correlation) < 0.95


@pytest.mark.parametrize("providers", [2, 3])
def test_all_summands_but_one_tell_nothing(providers: int) -> None:
    """False alarm below 1e-8: the mean of 4,000 uniform numbers."""
    world = World(rows=4_000)
    query = GroupCounts(np.arange(4_000), 4_000)
    calibration = portion_calibration(query, PRICE)
    pooled = Pooled.over(world.uploads.items())
    words = masked_answer(pooled, query, "label", calibration, os.urandom(32), providers)
    for left_out in range(providers):
        rest = np.add.reduce([one for at, one in enumerate(words) if at != left_out])
        mean = float((rest >> np.uint64(11)).mean() / 2.0**53)
        assert abs(mean - 0.5) < 5.8 / np.sqrt(12 * 4_000)
