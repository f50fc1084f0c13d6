"""A job's document, its digest, its files, and what a job may not be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.cleanroom.approval import approve, approved
from comity.cleanroom.columns import Columns, Units
from comity.cleanroom.job import Job, Kind
from comity.cleanroom.jobfile import read_job_file
from comity.cleanroom.mock import mock_table
from comity.cleanroom.shipped import source
from comity.errors import BadInput, BadSchema, UsageError
from comity.schema import Schema, Unit, parse_schema

STATISTIC: dict[str, Any] = {
    "title": "A mean",
    "source": "def run(rows, parameters):\n    return {'mean': rows['age']}\n",
    "columns": ["age"],
    "kind": "statistic",
    "outputs": [{"name": "mean", "length": 1, "norm": 2.0}],
    "blocks": {"number": 10},
}


def schema() -> Schema:
    return parse_schema(
        {
            "columns": {
                "id": {"role": "identifier", "type": "text"},
                "age": {"role": "quasi_identifier", "type": "integer", "min": 18, "max": 80},
                "pulse": {"role": "insensitive", "type": "number", "min": 30, "max": 200},
                "job": {"role": "insensitive", "type": "category", "values": ["a", "b", "c"]},
            }
        },
        where="a test",
    )


def test_a_document_comes_back_the_same() -> None:
    job = Job.from_dict(STATISTIC)
    assert job.kind is Kind.statistic
    assert Job.from_dict(job.to_dict()) == job
    assert Job.from_dict(json.loads(json.dumps(job.to_dict()))).digest == job.digest


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"more": 1}, "has no more"),
        ({"title": None}, "'title' is of another type"),
        ({"title": "two\nlines"}, "its title"),
        ({"source": "x" * (1 << 18) + "x"}, "more than"),
        ({"source": "a = 1 \u202e"}, "cannot see"),
        ({"source": "a = 1\n# caf\xe9\xa0\n"}, r"line 2 has '\\xa0'"),
        ({"source": "a = 1 \x1b[2J"}, "cannot see"),
        ({"columns": []}, "each once"),
        ({"columns": ["age", "age"]}, "each once"),
        ({"kind": "guess"}, "kind is one of"),
        ({"kind": "model"}, "statistics have a norm above 0, and only they"),
        ({"outputs": []}, "outputs"),
        ({"outputs": [{"name": "mean", "length": 1}]}, "a norm above 0"),
        ({"outputs": [{"name": "mean", "length": 1, "norm": -1.0}]}, "a norm above 0"),
        ({"outputs": [{"name": "mean", "length": 0, "norm": 1.0}]}, "numbers"),
        ({"outputs": [{"name": "mean", "length": True, "norm": 1.0}]}, "another type"),
        ({"outputs": [{"name": "mean", "length": 1, "norm": 1.0, "mix": "a"}]}, "length squared"),
        ({"modules": ["os"]}, "it imports os"),
        ({"modules": ["socket", "math"]}, "it imports socket"),
        ({"blocks": {"number": 0}}, "blocks"),
        ({"blocks": {"number": 2**30}}, "blocks"),
        ({"blocks": {"number": 5, "cpu_s": 0.0}}, "processor time"),
        ({"blocks": {"number": 5, "together": 2}}, "no fixed number"),
        ({"blocks": {"most": 5, "together": 0}}, "rows share a block"),
        ({"blocks": None}, "another type"),
        ({"seconds": 1e9}, "at most a day"),
        ({"parameters": {"a": -1}}, "parameters"),
        ({"parameters": {"a": 1.5}}, "parameters"),
        ({"cells": {"by": ["age"]}}, "says on what blocks"),
        ({"outputs": [{"name": "\x1b[2Jx", "length": 1, "norm": 1.0}]}, "its names"),
        ({"outputs": [{"name": "two\nlines", "length": 1, "norm": 1.0}]}, "its names"),
        ({"outputs": [{"name": "x" * 201, "length": 1, "norm": 1.0}]}, "its names"),
        ({"outputs": [{"name": "m", "length": 1, "norm": 1.0, "mix": "\u202e"}]}, "its names"),
        ({"columns": ["age\r"]}, "its names"),
        ({"parameters": {"\x9b2J": 1}}, "its names"),
        ({"statistics": [{"mean": "\x1bc"}]}, "its names"),
        ({"parameters": {"a": (1 << 16) + 1}}, "are given at most 65,536 numbers"),
    ],
)
def test_what_a_job_may_not_be(change: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        Job.from_dict(STATISTIC | change)


def test_a_job_that_is_exact_is_given_few_numbers() -> None:
    model = {**STATISTIC, "kind": "model", "outputs": [{"name": "mean", "length": 1}]}
    del model["blocks"]
    assert Job.from_dict(model | {"parameters": {"a": 8}}).parameters == {"a": 8}
    with pytest.raises(BadInput, match="at most 4 numbers"):
        Job.from_dict(model | {"parameters": {"a": 9}})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from([*STATISTIC, "parameters", "modules", "cells", "seconds", "memory_mb", "x"]),
)
@pytest.mark.hypothesis
def test_no_document_breaks_the_reader(value: Any, key: str) -> None:
    try:
        job = Job.from_dict(STATISTIC | {key: value})
    except BadInput:
        return
    assert Job.from_dict(job.to_dict()) == job


@pytest.mark.parametrize(
    "change",
    [
        {"source": STATISTIC["source"] + "\n"},
        {"columns": ["pulse"]},
        {"outputs": [{"name": "mean", "length": 1, "norm": 3.0}]},
        {"blocks": {"number": 11}},
        {"modules": ["math"]},
        {"title": "Another"},
        {"seconds": 61.0},
    ],
)
def test_an_approval_is_of_all_that_is_declared(change: dict[str, Any], ledger: Any) -> None:
    job = Job.from_dict(STATISTIC)
    assert not approved(ledger, job)
    approve(ledger, job, "the steward")
    assert approved(ledger, job)
    assert not approved(ledger, Job.from_dict(STATISTIC | change))


def test_a_job_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "mean.py").write_text(STATISTIC["source"], encoding="utf-8")
    (tmp_path / "job.yaml").write_text(
        "title: A mean\nprogram: mean.py\ncolumns: [age]\nkind: statistic\n"
        "outputs: [{name: mean, length: 1, norm: 2}]\nblocks: {number: 10}\n"
        "parameters: {weights: [1, 2.5], later: 3}\n",
        encoding="utf-8",
    )
    job, numbers = read_job_file(tmp_path / "job.yaml")
    assert job.parameters == {"weights": 2, "later": 3}
    assert numbers["weights"].tolist() == [1.0, 2.5]
    for text in ("[]", "title: [", "title: x\nprogram: none.py", "parameters: {a: [x]}"):
        (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(BadInput):
            read_job_file(tmp_path / "bad.yaml")


def test_the_mock_table_has_every_level_and_bound_and_nothing_else() -> None:
    names = ("age", "pulse", "job")
    table = mock_table(schema(), 200)
    assert table.names == names
    assert table.rows == 200
    ages = table.numbers("age")
    assert (np.nanmin(ages), np.nanmax(ages)) == (18.0, 80.0)
    assert (np.nanmin(table.numbers("pulse")), np.nanmax(table.numbers("pulse"))) == (30.0, 200.0)
    assert set(table.strings("job")) == {"a", "b", "c", None}
    assert all(table.missing(name).any() for name in names)
    assert table.equals(mock_table(schema(), 200))
    with pytest.raises(UsageError, match="at least 8 rows"):
        mock_table(schema(), 3)
    with pytest.raises(BadSchema, match="id"):
        mock_table(schema(), 20, ["id"])


def test_columns_are_numbers_within_public_bounds() -> None:
    import pyarrow as pa

    from comity.data.table import Table

    table = Table(pa.table({"age": [10, 99, None], "job": ["b", "unheard of", None], "id": ["1", "2", "3"]}))
    matrix = Columns.of(schema(), ["job", "age"]).matrix(table)
    np.testing.assert_array_equal(matrix, [[1.0, 18.0], [3.0, 80.0], [np.nan, np.nan]])
    with pytest.raises(BadSchema, match="the schema has no column 'nothing'"):
        Columns.of(schema(), ["nothing"])
    with pytest.raises(BadSchema, match="values"):
        Columns.of(schema(), ["id"])


def test_rows_of_nobody_and_rows_beyond_the_most_do_not_count() -> None:
    columns = {"who": schema()["id"], "id": schema()["id"]}
    unit = Units.of(Unit(column="who", max_rows=2), columns)
    assert unit.whose == "person"
    assert unit.numbers(["x", None, "y", "x", "x"]).tolist() == [0, -1, 1, 0, -1]
    assert unit.numbers([float("nan"), 1.0, float("nan")]).tolist() == [-1, 0, -1]
    assert Units.of(Unit(), columns).numbers(range(3)).tolist() == [0, 1, 2]
    # one of two identifiers, whichever a task calls the rows' id, names people; the only one names records
    assert Units.of(Unit(column="who"), columns).whose == "person"
    alone = Units.of(Unit(column="who"), {"who": columns["who"]})
    assert alone.whose == "record"
    assert alone.numbers(["x", "x", "y"]).tolist() == [0, -1, 1]


@pytest.mark.parametrize("name", ["gradient", "logistic"])
def test_shipped_programs_are_read_as_text(name: str) -> None:
    assert "def run(rows, parameters):" in source(name)
