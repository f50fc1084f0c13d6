"""The learner: asks within its cap, learns from noise-free and noisy answers, and bears hopeless ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from comity.errors import UsageError
from comity.ledger import gaussian_noise_multiplier
from comity.validate.additive import Design, Frame, solve
from comity.validate.effects import Effects
from comity.validate.mechanism import Price, answer

WIDTHS = (2, 9, 5)
EFFECTS = Effects(WIDTHS, (False, True, False))


def world(seed: int, rows: int) -> tuple[Frame, np.ndarray, np.ndarray]:
    """Records, their labels and their true log-odds; the start model knows nothing."""
    draw = np.random.default_rng(seed)
    codes = np.stack([draw.integers(0, width, rows) for width in WIDTHS], axis=1).astype(np.uint16)
    truth = 0.8 * (codes[:, 0] == 1) + 0.35 * (codes[:, 1] - 4.0) + 0.6 * (codes[:, 2] == 2) - 0.5
    labels = (draw.random(rows) < 1 / (1 + np.exp(-truth))).astype(np.int8)
    return Frame(codes, np.zeros(rows)), labels, truth


def learn(parts: list[tuple[Frame, np.ndarray]], epsilon: float, seed: int = 0) -> np.ndarray:
    price = Price(epsilon, 1e-6)
    multiplier = gaussian_noise_multiplier(epsilon, 1e-6) * np.sqrt(len(parts))
    frames = [frame for frame, _ in parts]
    design = Design.make(EFFECTS, frames, multiplier=multiplier, seed=seed)
    answers = [answer(design.query(frame), labels, price) for frame, labels in parts]
    return solve(design, frames, answers)


def auc(effects: np.ndarray, seed: int = 99) -> float:
    frame, labels, _ = world(seed, 20_000)
    return float(roc_auc_score(labels, frame.start + EFFECTS.at(frame.codes, effects)))


def test_it_learns_from_one_provider_and_from_three() -> None:
    """At epsilon 1 and 6,000 records it comes within 0.02 of the truth's own AUC (0.04 is many sigma)."""
    frame, labels, _ = world(1, 6_000)
    _, test_labels, truth = world(99, 20_000)
    best = roc_auc_score(test_labels, truth)
    thirds = np.array_split(np.arange(6_000), 3)
    split = [(Frame(frame.codes[rows], frame.start[rows]), labels[rows]) for rows in thirds]
    assert auc(learn([(frame, labels)], 1.0)) > best - 0.04
    assert auc(learn(split, 1.0)) > best - 0.06


def test_almost_without_noise_it_is_the_additive_models_fit() -> None:
    frame, labels, _ = world(2, 20_000)
    _, test_labels, truth = world(99, 20_000)
    assert auc(learn([(frame, labels)], 12.0)) > roc_auc_score(test_labels, truth) - 0.01


def test_a_hopeless_answer_changes_little() -> None:
    """With 40 records and epsilon 0.01 nothing can be learned: effects stay within the prior."""
    frame, labels, _ = world(3, 40)
    effects = learn([(frame, labels)], 0.01)
    assert np.isfinite(effects).all()
    assert np.abs(EFFECTS.at(frame.codes, effects)).max() < 3.0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), rows=st.integers(5, 300), multiplier=st.floats(0.05, 500.0))
def test_no_label_moves_the_question_by_more_than_its_cap(seed: int, rows: int, multiplier: float) -> None:
    frame, labels, _ = world(seed, rows)
    query = Design.make(EFFECTS, [frame], multiplier=multiplier, seed=seed).query(frame)
    record = seed % rows
    changed = labels.copy()
    changed[record] = 1 - changed[record]
    moved = query.sums(changed) - query.sums(labels)
    assert float(np.sqrt((moved.astype(float) ** 2).sum())) <= query.l2
    assert np.array_equal(np.abs(moved), np.abs(query.row(record)))


def test_the_design_does_not_depend_on_labels_and_repeats_with_its_seed() -> None:
    frame, _, _ = world(4, 500)
    one, two = (Design.make(EFFECTS, [frame], multiplier=5.0, seed=7) for _ in range(2))
    assert np.array_equal(one.mix, two.mix)
    assert one.cap == two.cap


def test_answers_and_frames_go_together() -> None:
    frame, _, _ = world(5, 100)
    design = Design.make(EFFECTS, [frame], multiplier=5.0, seed=0)
    with pytest.raises(UsageError):
        solve(design, [frame], [])
