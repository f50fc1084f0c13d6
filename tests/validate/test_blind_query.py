"""Questions in their wire form: what is read is what was written, and nothing else is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.errors import BadInput, ClauseRefused, UsageError
from comity.validate.blind_admission import Admission
from comity.validate.blind_groups import question_of
from comity.validate.blind_query import (
    LARGEST_WEIGHT,
    from_message,
    groupings,
    groups_per_record,
    permuted,
    to_message,
)
from comity.validate.mechanism import Sizes
from comity.validate.metrics import SignedCounts, ask_for
from comity.validate.queries import GroupCounts, Joined, Query, WeightedSum
from comity.validate.request import ScoreStatistics


def queries(rows: int, draw: np.random.Generator) -> list[Query]:
    groups = GroupCounts(draw.integers(0, 300, rows), 300)
    ranks = WeightedSum.ranks(draw.random(rows))
    codes = draw.integers(0, 3, (rows, 2)).astype(np.uint16)
    statistics = ScoreStatistics(codes, (3, 3), draw.integers(-9, 9, (6, 5)).astype(np.int32), 900)
    report = ask_for(draw.random(rows), ("auc", "calibration", "confusion")).query
    scores, names = draw.random(rows), np.array(["a", "b", None], dtype=object)[draw.integers(0, 3, rows)]
    names[0] = "a"
    by_group = [
        question_of(scores, metrics, threshold=0.5, minimum=1, groups=names).query
        for metrics in (("auc", "accuracy"), ("accuracy",), ("calibration", "brier", "confusion"))
    ]
    signed = SignedCounts(draw.integers(0, 3, rows), 3, scores >= 0.5)
    joined = Joined((groups, ranks, statistics), (7, 2, 1))
    right = ask_for(scores, ("accuracy",)).query
    return [groups, ranks, statistics, joined, report, signed, right, *by_group]


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 60))
@settings(max_examples=30, deadline=None)
def test_a_question_survives_its_message(seed: int, rows: int) -> None:
    draw = np.random.default_rng(seed)
    labels, words = draw.integers(0, 2, rows).astype(np.int8), draw.integers(0, 2**63, rows).astype(np.uint64)
    for query in queries(rows, draw):
        read = from_message(*to_message(query))
        assert read.dimensions == query.dimensions
        assert Sizes.of(read) == Sizes.of(query)
        assert np.array_equal(read.sums(labels), query.sums(labels))
        assert np.array_equal(read.padded_sums(words), query.padded_sums(words))
        order = draw.permutation(rows)
        turned = permuted(read, order)
        assert np.array_equal(turned.sums(labels[order]), query.sums(labels))
        assert all(
            np.array_equal(one, other[order])
            for one, other in zip(groupings(turned), groupings(query), strict=True)
        )


def messages() -> list[tuple[dict[str, Any], dict[str, bytes]]]:
    draw = np.random.default_rng(0)
    return [to_message(query) for query in queries(20, draw)]


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_anything_changed_is_refused_or_another_sound_question(data: st.DataObject) -> None:
    """Bodies with a value replaced, parts cut or added to: never another error than BadInput."""
    body, parts = data.draw(st.sampled_from(messages()))
    odd = st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=3),
        st.just([]), st.just({}), st.just([1, 2, 3]), st.just([{"query": "joined"}]),
    )  # fmt: skip
    kind = data.draw(st.sampled_from(["value", "key", "cut", "part", "drop"]))
    body, parts = dict(body), dict(parts)
    if kind == "value":
        body[data.draw(st.sampled_from(sorted(body)))] = data.draw(odd)
    elif kind == "key":
        body["more"] = 1
    elif kind == "cut":
        name = data.draw(st.sampled_from(sorted(parts)))
        parts[name] = parts[name][: data.draw(st.integers(0, len(parts[name]) - 1))]
    elif kind == "part":
        parts[data.draw(st.sampled_from(["x", "0.x", "9.groups", "-1.groups", "00.groups"]))] = b""
    else:
        del parts[data.draw(st.sampled_from(sorted(parts)))]
    try:
        read = from_message(body, parts)
    except BadInput:
        return
    assert kind == "value"
    assert read.l2 >= 1


@pytest.mark.parametrize("weight", [-(2**63), 2**63 - 1, LARGEST_WEIGHT, -LARGEST_WEIGHT])
def test_weights_whose_norm_would_wrap_are_refused(weight: int) -> None:
    """The magnitude of -2^63 is no 64-bit number: its bound would come out as 1."""
    body, _ = to_message(WeightedSum(np.ones(2, dtype=np.int64)))
    with pytest.raises(BadInput, match="weights"):
        from_message(body, {"weights": np.array([weight, 1], dtype="<i8").tobytes()})


@pytest.mark.parametrize("body", [None, [], "x", {}, {"query": "sum"}, {"query": ["joined"]}])
def test_other_kinds_are_refused(body: Any) -> None:
    with pytest.raises(BadInput):
        from_message(body, {})


def test_joined_within_joined_is_neither_written_nor_read() -> None:
    inner = Joined((GroupCounts(np.zeros(3, np.int64), 1),), (1,))
    with pytest.raises(UsageError):
        to_message(Joined((inner,), (1,)))
    body, parts = to_message(inner)
    nested = {"query": "joined", "factors": [1], "parts": [body]}
    with pytest.raises(BadInput):
        from_message(nested, {f"0.{name}": data for name, data in parts.items()})


def test_groups_per_record_add_up() -> None:
    draw = np.random.default_rng(1)
    assert [groups_per_record(query) for query in queries(30, draw)] == [1, 1, 2, 4, 4, 1, 1, 3, 1, 3]


class TestAdmission:
    def admission(self, **changes: Any) -> Admission:
        return Admission(40, **({"most": 4, "minimum": 5, "clause": "c"} | changes))

    def test_groups_per_record_are_counted_over_all_answers(self) -> None:
        admission = self.admission(most=2)
        admission.admit(GroupCounts(np.arange(40) % 2, 2))
        admission.admit(GroupCounts(np.arange(40) // 20, 2))
        with pytest.raises(ClauseRefused, match="more groups"):
            admission.admit(GroupCounts(np.zeros(40, np.int64), 1))

    def test_a_refused_question_leaves_no_trace(self) -> None:
        admission = self.admission(most=1)
        with pytest.raises(ClauseRefused):
            admission.admit(GroupCounts((np.arange(40) < 3).astype(np.int64), 2))
        admission.admit(GroupCounts(np.arange(40) % 2, 2))

    def test_differences_of_answers_are_watched(self) -> None:
        admission = self.admission()
        groups = np.arange(40) // 20
        admission.admit(GroupCounts(groups, 2))
        groups = groups.copy()
        groups[0] = 1
        with pytest.raises(ClauseRefused):
            admission.admit(GroupCounts(groups, 2))

    def test_a_weighted_sum_about_few_records_is_refused(self) -> None:
        weights = np.ones(40, dtype=np.int64)
        self.admission().admit(WeightedSum(weights))
        weights[0] = 1000
        with pytest.raises(ClauseRefused, match="few records"):
            self.admission().admit(WeightedSum(weights))
        self.admission(minimum=None).admit(WeightedSum(weights))

    def test_another_number_of_records_is_refused(self) -> None:
        with pytest.raises(BadInput):
            self.admission().admit(GroupCounts(np.zeros(41, np.int64), 1))
