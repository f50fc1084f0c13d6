"""Nobody takes the asker's word for a query's bounds: what could move further than they say is refused."""

from __future__ import annotations

import os

import numpy as np
import pytest

from comity.errors import BadInput, UsageError
from comity.validate import FeedbackClassifier, GroupCounts, LocalValidator, WeightedSum
from comity.validate.blind_groups import question_of
from comity.validate.class_queries import ChosenSum, ClassCounts, ClassSums
from comity.validate.groups import Partitioned, numbered_groups, without_gaps
from comity.validate.number_queries import DifferenceSum
from comity.validate.queries import MOST_WEIGHT, Joined

ROWS = 200
LOWEST = -(2**63)


def ones(position, value):
    weights = np.zeros(ROWS, dtype=np.int64)
    weights[position] = value
    return weights


def validators():
    labels = np.arange(ROWS) % 2
    return {
        "binary": LocalValidator(range(ROWS), labels, 1.0, 1e-6),
        "numbers": LocalValidator(range(ROWS), labels * 100, 1.0, 1e-6, bounds=(0, 100)),
        "classes": LocalValidator(range(ROWS), labels * 999, 1.0, 1e-6, classes=range(1000)),
    }


@pytest.mark.parametrize(
    ("kind", "query"),
    [
        ("numbers", WeightedSum(ones(0, 1))),
        ("numbers", GroupCounts(np.zeros(ROWS, dtype=np.int64), 1)),
        ("numbers", DifferenceSum(np.zeros(ROWS, dtype=np.int64), 1, "difference")),
        ("numbers", ClassCounts(np.zeros(ROWS, dtype=np.int64), 1, 2)),
        ("classes", WeightedSum(ones(0, 1))),
        ("classes", ClassCounts(np.zeros(ROWS, dtype=np.int64), 1, 2)),
        ("classes", ChosenSum(np.ones((ROWS, 3), dtype=np.int64))),
        ("binary", ClassCounts(np.zeros(ROWS, dtype=np.int64), 1, 3)),
    ],
)
def test_a_query_about_labels_of_another_kind_is_refused_before_any_charge(kind, query):
    validator = validators()[kind]
    before = validator.ledger.size
    with pytest.raises(UsageError, match="the query is about labels"):
        validator.statistics(range(ROWS), query, 0.5)
    assert validator.ledger.size == before


@pytest.mark.parametrize("weight", [LOWEST, -MOST_WEIGHT - 1, MOST_WEIGHT + 1, 2**63 - 1])
def test_weights_without_a_magnitude_are_refused(weight):
    with pytest.raises(BadInput, match="between"):
        WeightedSum(ones(3, weight))
    two = np.zeros((ROWS, 2), dtype=np.int64)
    two[3, 1] = weight
    with pytest.raises(BadInput, match="between"):
        ChosenSum(two)
    with pytest.raises(BadInput, match="between"):
        ClassSums(two, np.arange(2))


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_weights_that_are_no_whole_numbers_of_64_bits_are_refused():
    for weights in (np.full(ROWS, np.nan), np.full(ROWS, 2**63, dtype=np.uint64)):
        with pytest.raises(BadInput):
            WeightedSum(weights)


def test_a_record_stands_in_a_partition_once():
    query = GroupCounts(np.zeros(3, dtype=np.int64), 1)
    for places in ([0, 0, 1], [0, 1, ROWS], [-1, 0, 1], [0.0, 1.0, 2.0]):
        with pytest.raises(BadInput):
            Partitioned((np.array(places),), (query,), ROWS)
    with pytest.raises(BadInput, match="share no records"):
        Partitioned((np.arange(3), np.arange(2, 5)), (query, query), ROWS)


def test_parts_about_labels_of_several_kinds_are_not_joined():
    counts = GroupCounts(np.zeros(ROWS, dtype=np.int64), 1)
    with pytest.raises(BadInput, match="labels of one kind"):
        Joined((counts, ClassCounts(np.zeros(ROWS, dtype=np.int64), 1, 3)), (1, 1))


def test_a_forked_copy_has_no_budget():
    validator = validators()["binary"]
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # nothing here may return into pytest
        try:
            validator.feedback(range(ROWS), np.linspace(0, 1, ROWS), metrics=["accuracy"], epsilon=0.5)
            os.write(writing, b"answered")
        except UsageError:
            os.write(writing, b"refused")
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as said:
        assert said.read() == b"refused"


def test_a_learner_of_classes_refuses_labels_that_are_not_0_and_1_before_any_charge():
    features = np.random.default_rng(0).normal(size=(ROWS, 2))
    for kind in ("numbers", "classes"):
        validator = validators()[kind]
        before = validator.ledger.size
        with pytest.raises(UsageError, match="labels 0 and 1"):
            FeedbackClassifier(validator).fit(features, range(ROWS))
        assert validator.ledger.size == before


def test_groups_named_by_numbers_with_gaps_have_their_own_numbers():
    names, numbers = without_gaps(*numbered_groups(np.array([7, 3, 3, 7]), 4))
    assert [names[at] for at in numbers] == [7, 3, 3, 7]
    assert sorted(set(numbers.tolist())) == [0, 1]
    query = question_of(
        np.array([0.1, 0.9, 0.8, 0.2] * 30),
        ["accuracy"],
        threshold=None,
        minimum=10,
        groups=[7, 3, 3, 7] * 30,
    )
    assert set(query.names) == {7, 3}
