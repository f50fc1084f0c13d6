"""Labels and scores as they come: what is taken, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from comity.errors import BadInput, BadTable
from comity.validate.arguments import binary, coded, finite_scores, numeric_labels


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1, 1],
        [0.0, 1.0, 1.0],
        [False, True, True],
        np.array([0, 1, 1], dtype=np.float32),
        np.array([0, 1.0, True], dtype=object),
        pd.Series([0, 1, 1], dtype="Int64"),
        pd.Series([False, True, True], dtype="boolean"),
        pd.Series([0, 1, 1], index=["c", "a", "b"]),
    ],
)
def test_two_values_are_0_and_1_however_they_come(labels: Any) -> None:
    assert binary(labels).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["no", "yes"], "'no' is neither.*map the positive class to 1.*classes="),
        (["0", "1"], "'0' is neither"),
        ([0, "yes"], "neither"),
        ([1, 2], "1 labels are neither 0 nor 1, the first at place 1: 2.*map"),
        ([0.0, 0.5], "place 1: 0.5"),
        ([0, 10**400], "place 1: inf"),
        ([0, None], "missing in places, the first at place 1"),
        ([0, np.nan], "missing in places, the first at place 1"),
        (["yes", None], "missing in places, the first at place 1"),
        ([None, None], "missing in places, the first at place 0"),
        (pd.Series([0, None], dtype="Int64"), "missing in places, the first at place 1"),
        (pd.Series([True, None], dtype="boolean"), "missing in places, the first at place 1"),
        ([[0], [1]], "dimensions"),
        (np.array([0, 1], dtype="timedelta64[s]"), "neither"),
    ],
)
def test_other_labels_are_refused_to_the_holder_alone(labels: Any, words: str) -> None:
    with pytest.raises(BadTable, match=words) as caught:
        binary(labels)
    assert caught.value.private
    assert "place" not in caught.value.public_message


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([1, None], "missing in places, the first at place 1"),
        ([1, np.nan], "missing in places"),
        ([1, np.inf], "not finite, the first at place 1"),
        (["1", "2"], "'1' is none"),
        ([[1], [2]], "dimensions"),
    ],
)
def test_numeric_labels_are_finite_numbers(labels: Any, words: str) -> None:
    with pytest.raises(BadTable, match=words):
        numeric_labels(labels)
    assert numeric_labels(pd.Series([1, 2], dtype="Int64")).tolist() == [1.0, 2.0]


def test_classes_keep_their_types() -> None:
    assert coded([1, "1", "a"], ["a", "1", 1], "labels").tolist() == [2, 1, 0]
    assert coded([True, 0.0], [0, 1], "labels").tolist() == [1, 0]
    assert coded(pd.Categorical(["b", "a"]), ["a", "b"], "labels").tolist() == [1, 0]
    with pytest.raises(BadTable, match="missing in places, the first at place 1"):
        coded(["a", None], ["a"], "labels", private=True)
    with pytest.raises(BadTable, match="place 1: 'b'"):
        coded(["a", "b"], ["a"], "labels", private=True)
    with pytest.raises(
        BadInput, match="predictions are not among the declared ones, the first at place 0: '1'"
    ):
        coded(["1"], [1], "predictions")


def test_scores_say_what_is_wrong_with_them() -> None:
    assert finite_scores(pd.Series([0.5, 1], dtype="Float64"), 2).tolist() == [0.5, 1.0]
    for scores, words in (
        ([0.5, None], "1 scores are not finite, the first at place 1: nan"),
        (["a", "b"], "scores are numbers, and 'a' is none"),
        (np.ones((2, 2)), "take the column of class 1"),
        ([0.5], "2 ids came with 1 scores"),
        (np.ma.masked_array([0.5, 0.1], mask=[False, True]), "masked"),
        (0.5, "one value per record"),
    ):
        with pytest.raises(BadInput, match=words):
            finite_scores(scores, 2)
