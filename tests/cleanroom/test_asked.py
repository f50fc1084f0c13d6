"""Statistics that a job declares: what may be asked, what is read back, and what they may cost together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.cleanroom.asked import Asked, What
from comity.cleanroom.job import Job
from comity.cleanroom.purse import Parts, Purse
from comity.cleanroom.told import Told, read_told
from comity.errors import BadInput, BadSchema, ComityError, UsageError
from comity.ledger import PrivacyUnit, Relation, approximate, gaussian, pure
from comity.schema import parse_schema

SCHEMA = parse_schema(
    {
        "columns": {
            "ward": {"role": "insensitive", "type": "category", "values": ["heart", "knee"]},
            "sex": {"role": "insensitive", "type": "category", "values": ["f", "m"]},
            "age": {"role": "insensitive", "type": "integer", "min": 18, "max": 90},
            "flat": {"role": "insensitive", "type": "number", "min": 1, "max": 1},
        }
    },
    where="a test",
)
TERMS: dict[str, Any] = {"unit": PrivacyUnit.record, "relation": Relation.add_remove}


def job(*statistics: Any, **more: Any) -> Job:
    settings = {"title": "t", "columns": ["ward", "sex", "age", "flat"], "kind": "statistic"}
    return Job.from_dict(settings | {"statistics": list(statistics)} | more)


def test_what_is_declared_is_named_and_read_back() -> None:
    asked = job(
        {"count": "records"},
        {"count": "records", "by": ["ward", "sex"]},
        {"mean": "age", "by": "ward", "share": 2},
        {"histogram": "age", "bins": 4},
        {"histogram": "ward"},
        {"quantile": "age", "at": [0.25, 0.5]},
        {"sum": "age"},
    )
    assert Job.from_dict(asked.to_dict()) == asked
    assert [one.name for one in asked.statistics] == [
        "count",
        "count by ward and sex",
        "mean of age by ward",
        "histogram of age in 4 bins",
        "histogram of ward",
        "quantiles of age",
        "sum of age",
    ]
    keys = [one.keys(SCHEMA) for one in asked.statistics]
    assert keys[0] == keys[6] == (None,)
    assert keys[1] == (("heart", "f"), ("heart", "m"), ("knee", "f"), ("knee", "m"))
    assert keys[2] == keys[4] == ("heart", "knee")
    assert keys[3] == ((18.0, 36.0), (36.0, 54.0), (54.0, 72.0), (72.0, 90.0))
    assert keys[5] == (0.25, 0.5)
    assert job({"quantile": "age", "at": 0.9}).statistics[0].at == (0.9,)


@pytest.mark.parametrize(
    ("statistic", "says"),
    [
        ({"count": "age"}, "count: records"),
        ({"mean": "records"}, "of a column for anything else"),
        ({"mode": "age"}, "one of: count, sum, mean, histogram, quantile"),
        ({"mean": "age", "sum": "age"}, "one of: count"),
        ("mean", "one of: count"),
        ({"mean": "age", "bounds": [0, 1]}, "has no bounds"),
        ({"mean": "pay"}, "of pay, which is not among its columns"),
        ({"mean": "age", "by": ["town"]}, "of town, which is not among its columns"),
        ({"mean": "age", "bins": 3}, "bins are of a histogram"),
        ({"mean": "age", "at": [0.5]}, "at says which quantiles"),
        ({"quantile": "age", "at": [1.0]}, "from 0.001 to 0.999"),
        ({"quantile": "age", "at": [0.5, 0.5]}, "each once"),
        ({"quantile": "age", "by": ["ward"]}, "by goes with counts, sums and means"),
        ({"histogram": "age", "by": ["ward"]}, "by goes with counts, sums and means"),
        ({"histogram": "age", "bins": 0}, "bins are of a histogram"),
        ({"count": "records", "by": ["ward", "ward"]}, "each column once"),
        ({"count": "records", "share": 0}, "share is above 0"),
        ({"count": "records", "share": float("nan")}, "share is above 0"),
    ],
)
def test_what_may_not_be_asked(statistic: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        job(statistic)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"statistics": []}, "1 to 100 outputs"),
        ({"statistics": [{"count": "records"}] * 2}, "each once"),
        ({"source": "x = 1"}, "a program and no outputs"),
        ({"blocks": {"number": 3}}, "without a program it has no blocks"),
        ({"kind": "model", "outputs": [{"name": "m", "length": 1}]}, "ask for them in two jobs"),
    ],
)
def test_what_a_job_with_statistics_may_not_be(more: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        job(**{"statistics": [{"count": "records"}]} | more) if "statistics" in more else job(
            {"count": "records"}, **more
        )


@pytest.mark.parametrize(
    ("statistic", "says"),
    [
        ({"mean": "ward"}, "it needs numbers"),
        ({"quantile": "ward"}, "it needs numbers"),
        ({"histogram": "ward", "bins": 3}, "leave out bins"),
        ({"count": "records", "by": ["age"]}, "columns with public levels"),
        ({"mean": "flat"}, "are one number"),
    ],
)
def test_what_does_not_go_with_the_schema(statistic: dict[str, Any], says: str) -> None:
    with pytest.raises(BadSchema, match=says):
        job(statistic).statistics[0].require(SCHEMA)


def test_too_many_figures_are_refused_without_listing_them() -> None:
    wide = [str(at) for at in range(200)]
    column = {"role": "insensitive", "type": "category", "values": wide}
    schema = parse_schema({"columns": dict.fromkeys("abcdef", column)}, where="a test")
    with pytest.raises(BadSchema, match="more than 16,384 figures"):
        Asked(What.count, by=tuple("abcdef")).require(schema)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(["values", "lows", "highs", "more"]),
)
@pytest.mark.hypothesis
def test_an_answer_is_taken_in_the_declared_form_alone(value: Any, name: str) -> None:
    asked = job({"count": "records", "by": ["ward"]}).statistics
    honest = {"values": [1.0, 2.0], "lows": [0.0, 1.0], "highs": [2, 3.5]}
    (told,) = read_told(asked, SCHEMA, [honest])
    assert told.readable(SCHEMA)[1] == {"of": "knee", "value": 2.0, "low": 1.0, "high": 3.5}
    for odd in (value, [value], [honest, value], [honest | {name: value}]):
        try:
            (read,) = read_told(asked, SCHEMA, odd)
        except BadInput:
            continue
        assert read.values.shape == read.lows.shape == read.highs.shape == (2,)
        assert np.isfinite([read.values, read.lows, read.highs]).all()
        assert (read.lows <= read.highs).all()
        assert isinstance(read, Told)


shares = st.floats(1e-6, 1e6)


@given(st.floats(1e-3, 20), shares, st.lists(shares, min_size=1, max_size=5))
@pytest.mark.hypothesis
def test_the_parts_never_add_up_to_more_than_the_whole(
    epsilon: float, program: float, statistics: list[float]
) -> None:
    asked = job(
        *({"quantile": "age", "at": [(at + 1) / 10], "share": 1.0} for at in range(1)),
        *({"histogram": "age", "bins": at + 1, "share": share} for at, share in enumerate(statistics)),
        source="x",
        outputs=[{"name": "o", "length": 1, "norm": 1.0, "share": program}],
        blocks={"number": 3},
    )
    try:
        parts = Parts.of(asked, epsilon)
    except UsageError:
        return
    purse = Purse(approximate(epsilon, 1e-6, **TERMS))
    purse.take(approximate(parts.program, 1e-6, **TERMS))
    for part in parts.statistics:
        purse.take(pure(part, **TERMS))
    assert purse.spent[0] <= epsilon
    assert purse.spent[0] > epsilon - 1e-7
    with pytest.raises(ComityError, match="more than was charged"):
        purse.take(pure(1e-6, **TERMS))


def test_a_purse_takes_nothing_of_another_kind() -> None:
    purse = Purse(pure(1.0, **TERMS))
    for cost in (
        pure(0.1, unit=PrivacyUnit.person, relation=Relation.add_remove),
        pure(0.1, unit=PrivacyUnit.record, relation=Relation.change_one),
        gaussian(5.0, **TERMS),
    ):
        with pytest.raises(ComityError, match="something else"):
            purse.take(cost)
    with pytest.raises(ComityError, match="more than was charged"):
        purse.take(approximate(0.1, 1e-9, **TERMS))
    assert purse.spent == (0.0, 0.0)
