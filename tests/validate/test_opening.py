"""The opening: seed rows read once more, through the lesson's own prior."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from comity.errors import BadInput
from comity.validate import FeedbackClassifier, LocalValidator
from comity.validate.bins import Columns, features_table, public_encoder
from comity.validate.opening import opening

pytestmark = pytest.mark.slow


def people(rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A square that a straight line cannot read."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(rows, 4)), columns=list("abcd"))
    odds = frame["a"] + 1.5 * frame["b"] ** 2 - 1.5
    return frame, (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(int)


def test_it_reads_more_out_of_the_seed_rows_than_a_straight_line() -> None:
    """On average over 4 draws of 200 seed rows; each is the same in every run."""
    frame, labels = people(6_000, 1)
    tests, truth = people(6_000, 2)
    table = features_table(frame)
    encoder = public_encoder(table)
    columns, coded = Columns.of(encoder, table), Columns.of(encoder, features_table(tests))
    gains = []
    for at in range(0, 800, 200):
        rows = slice(at, at + 200)
        start = LogisticRegression().fit(frame[rows], labels[rows])
        seeds = Columns.of(encoder, features_table(frame[rows]))
        begun = opening(columns, seeds, labels[rows], 10)
        scores = start.decision_function(tests)
        gains.append(roc_auc_score(truth, begun.scores(coded, scores)) - roc_auc_score(truth, scores))
    assert np.mean(gains) > 0.06


@pytest.mark.parametrize("rows", [1, 2, 10])
def test_few_seed_rows_or_one_class_move_little(rows: int) -> None:
    frame, _ = people(1_000, 3)
    table = features_table(frame)
    encoder = public_encoder(table)
    columns = Columns.of(encoder, table)
    seeds = Columns.of(encoder, features_table(frame[:rows]))
    begun = opening(columns, seeds, np.zeros(rows, dtype=np.int64), 10)
    scores = begun.scores(columns, np.zeros(1_000))
    assert np.isfinite(scores).all()
    assert np.ptp(scores) < 2.0


def test_a_lesson_begins_where_the_seed_rows_leave_it() -> None:
    """At an epsilon that tells nothing the opening is what is left; without seeds, the start's order is."""
    frame, labels = people(1_200, 4)
    tests, truth = people(6_000, 5)
    start = LogisticRegression().fit(frame[:200], labels[:200])
    ids = range(1_000)
    models = [
        FeedbackClassifier(LocalValidator(ids, labels[200:], epsilon=0.01), start).fit(
            frame[200:], ids, seeds=seeds
        )
        for seeds in (None, (frame[:200], labels[:200]))
    ]
    alone, begun = (roc_auc_score(truth, model.predict_proba(tests)[:, 1]) for model in models)
    assert models[0].opening_ is None
    assert begun > alone + 0.01


def test_seeds_that_do_not_fit_are_refused_and_nothing_is_spent() -> None:
    frame, labels = people(300, 6)
    start = LogisticRegression().fit(frame, labels)
    validator = LocalValidator(range(300), labels)
    model = FeedbackClassifier(validator, start)
    for wrong in (labels[:10], np.where(labels[:20] == 1, 7, 0)):
        with pytest.raises(BadInput, match="each of the start's classes 0 and 1"):
            model.fit(frame, range(300), seeds=(frame[:20], wrong))
    assert validator.remaining().epsilon == 1.0


def test_bins_are_read_only_where_they_say_more_than_a_line() -> None:
    """The truth is the start's own line: of 4 draws of 200 seed rows at most 1 is read (measured 0)."""
    rng = np.random.default_rng(7)
    frame = pd.DataFrame(rng.normal(size=(4_000, 4)), columns=list("abcd"))
    odds = frame["a"] - 0.6 * frame["b"] + 0.3 * frame["c"]
    labels = (rng.random(4_000) < 1 / (1 + np.exp(-odds))).astype(int)
    table = features_table(frame)
    encoder = public_encoder(table)
    columns = Columns.of(encoder, table)
    read = 0
    for at in range(0, 800, 200):
        seeds = Columns.of(encoder, features_table(frame[at : at + 200]))
        begun = opening(columns, seeds, labels[at : at + 200], 10)
        read += begun.correction.slope != 0
        assert -1 <= begun.correction.slope <= 0
        if begun.correction.slope == 0:
            assert begun.correction.constant == 0
            assert begun.likeness is None
            assert not any(values.any() for values in begun.correction.values)
    assert read <= 1


def test_what_columns_say_only_together_is_read_too() -> None:
    """The sign of a product: no column tells anything by itself. Start 0.49, opening 0.99 (mean of three)."""
    rng = np.random.default_rng(8)
    X = rng.normal(size=(6_000, 3))
    labels = (X[:, 0] * X[:, 1] > 0).astype(int)
    table = features_table(X)
    encoder = public_encoder(table)
    columns = Columns.of(encoder, table)
    gains = []
    for at in range(0, 600, 200):
        rows = slice(at, at + 200)
        start = LogisticRegression().fit(X[rows], labels[rows])
        begun = opening(columns, Columns.of(encoder, features_table(X[rows])), labels[rows], 10)
        assert begun.likeness is not None
        scores = start.decision_function(X)
        before = roc_auc_score(labels[600:], scores[600:])
        gains.append((before, roc_auc_score(labels[600:], begun.scores(columns, scores)[600:])))
    before, after = np.mean(gains, axis=0)
    assert before < 0.6
    assert after > 0.9


def test_many_seed_rows_are_read_by_their_bins_alone() -> None:
    frame, labels = people(3_000, 9)
    table = features_table(frame)
    encoder = public_encoder(table)
    columns = Columns.of(encoder, table)
    seeds = Columns.of(encoder, features_table(frame[:700]))
    assert opening(columns, seeds, labels[:700], 10).likeness is None


def test_a_rare_class_is_left_to_the_start() -> None:
    """The square again, which 200 seed rows tell at once unless fewer than 20 of them are of one class."""
    frame, labels = people(3_000, 10)
    table = features_table(frame)
    encoder = public_encoder(table)
    columns = Columns.of(encoder, table)
    rare, often = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    for few, read in ((19, False), (60, True)):
        rows = np.r_[rare[:few], often[: 200 - few]]
        begun = opening(columns, Columns.of(encoder, features_table(frame.iloc[rows])), labels[rows], 10)
        assert (begun.correction.slope != 0) == read
