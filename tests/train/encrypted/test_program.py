"""The program: what it learns in plain numbers, and that its text is the same at every party."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score

from comity.errors import BadInput
from comity.train.encrypted.program import (
    INVERSIONS,
    compile_training,
    function_of,
    input_shapes,
    sigmoid,
)
from comity.train.encrypted.settings import Kind, Partition, Training

TRAINING = Training(Kind.logistic, rows=9_000, columns=15, numeric=3)


def plain(training: Training, inputs: dict[str, Any]) -> np.ndarray:
    """The program on plain 32-bit numbers."""
    import jax

    given = [np.asarray(inputs[name], dtype=np.float32) for name in input_shapes(training)]
    return np.asarray(jax.jit(function_of(training))(*given), dtype=np.float64)


def test_the_polynomial_stays_near_the_logistic_function_and_within_its_range() -> None:
    x = np.linspace(-40, 40, 8001)
    found = np.asarray(sigmoid(x))
    assert np.abs(found - 1 / (1 + np.exp(-x))).max() < 0.0038
    assert found.min() > 0
    assert found.max() < 1


@pytest.mark.parametrize("partition", list(Partition))
def test_it_ranks_as_plain_logistic_regression_does(partition: Partition, made: Any, held_out: Any) -> None:
    training = replace(TRAINING, partition=partition)
    found = plain(training, {"rows": made.rows, "labels": made.labels, "products": made.products})
    reference = LogisticRegression(C=1.0, max_iter=1000).fit(made.rows, made.labels)
    ours = roc_auc_score(held_out.labels, held_out.rows @ found[:-1])
    theirs = roc_auc_score(held_out.labels, reference.decision_function(held_out.rows))
    assert abs(ours - theirs) < 0.002


@pytest.mark.parametrize("partition", list(Partition))
def test_linear_regression_predicts_as_least_squares_does(
    partition: Partition, made: Any, held_out: Any
) -> None:
    training = replace(TRAINING, kind=Kind.linear, partition=partition)
    inputs = {
        "rows": made.rows,
        "labels": made.numbers,
        "products": made.products,
        "moments": made.moments(made.numbers),
    }
    found = plain(training, inputs)
    theirs = LinearRegression().fit(made.rows, made.numbers).predict(held_out.rows)
    assert np.abs(held_out.rows @ found[:-1] + found[-1] - theirs).max() < 0.02


def test_the_same_settings_give_the_same_text_and_others_another() -> None:
    small = Training(Kind.logistic, rows=40, columns=3, numeric=1, steps=2)
    first, again = compile_training(small), compile_training(small)
    assert first.digest == again.digest
    assert b"/" not in first.code.replace(b"//", b"")  # no path of this machine
    for other in (replace(small, ridge=2.0), replace(small, rows=41), replace(small, kind=Kind.linear)):
        assert compile_training(other).digest != first.digest


def test_settings_travel_as_json_and_refuse_what_they_are_not() -> None:
    assert Training.from_dict(TRAINING.to_dict()) == TRAINING
    for change in ({"rows": 0}, {"kind": "deep"}, {"numeric": 16}, {"momentum": 1.0}, {"more": 1}):
        with pytest.raises(BadInput):
            Training.from_dict({**TRAINING.to_dict(), **change})


def test_batches_are_even_and_leave_few_rows_over() -> None:
    for rows in (1, 19, 4_096, 9_000, 38_875):
        training = replace(TRAINING, rows=rows)
        assert 0 <= rows - training.batches * training.batch_rows < training.batches
        assert training.batch_rows <= 1.5 * training.batch
    assert INVERSIONS > 10
