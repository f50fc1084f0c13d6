"""What a job wrote about all rows is taken only in the declared form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.cleanroom.answers import faults_on_made_up_rows, most_bytes, read_answer
from comity.cleanroom.columns import Columns
from comity.cleanroom.job import Job, Kind, Output
from comity.errors import BadInput, BadSchema
from comity.schema import Schema

JOB = Job(
    title="t",
    source="",
    columns=("age",),
    kind=Kind.model,
    outputs=(Output("weights", 3),),
    parameters={},
)


WRITES = "import os, sys\ndef run(rows, parameters):\n    open(sys.argv[2], 'w').write({})\n    os._exit(0)\n"


def test_an_honest_answer_is_read() -> None:
    read = read_answer(JOB, b'{"weights": [1, -2.5, 3e-7]}')
    assert read["weights"].tolist() == [1.0, -2.5, 3e-7]


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"weights": [1, 2, 3]', "not JSON"),
        (b"[1, 2, 3]", "exactly the declared"),
        (b'{"weights": [1, 2]}', "declared length"),
        (b'{"weights": [1, 2, 3, 4]}', "declared length"),
        (b'{"weights": 1}', "declared length"),
        (b'{"weights": [1, 2, "3"]}', "no finite number"),
        (b'{"weights": [1, 2, true]}', "no finite number"),
        (b'{"weights": [1, 2, null]}', "no finite number"),
        (b'{"weights": [1, 2, NaN]}', "no finite number"),
        (b'{"weights": [1, 2, -Infinity]}', "no finite number"),
        (b'{"weights": [1, 2, 1e999]}', "no finite number"),
        (b'{"weights": [1, 2, [3]]}', "lists within lists"),
        (b'{"weights": [1, 2, 3], "more": [1]}', "exactly the declared"),
        (b'{"weights": [1, 2, 3], "weights": [1, 2, 4]}', "twice"),
        (b"[" * 500, "lists within lists"),
        (b'{"weights": [1, 2, ' + b"9" * 5000 + b"]}", "longer"),
        (b" " * 10_000_000, "longer"),
        (b'{"weights": [1, 2, 3]} {"weights": [1, 2, 3]}', "not JSON"),
        (b'"' + b"\\" * 50 + b"[", "not JSON"),
    ],
)
def test_anything_else_is_refused_without_a_value(written: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says) as refused:
        read_answer(JOB, written)
    assert refused.value.private
    assert "99" not in str(refused.value)


@given(
    st.binary(max_size=300) | st.text(alphabet='{}[]",:weights0123.eE+-NaN\\ ', max_size=300).map(str.encode)
)
@pytest.mark.hypothesis
def test_nothing_that_is_written_breaks_the_reader(written: bytes) -> None:
    try:
        read = read_answer(JOB, written)
    except BadInput:
        return
    assert list(read) == ["weights"]
    assert read["weights"].shape == (3,)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3))
@pytest.mark.hypothesis
def test_every_honest_answer_fits(values: list[float]) -> None:
    written = json.dumps({"weights": values}).encode()
    assert len(written) <= most_bytes(JOB)
    assert read_answer(JOB, written)["weights"].tolist() == values


def test_an_answer_that_is_no_answer_makes_no_model(rooms: Any, sandboxed: None) -> None:
    import numpy as np

    from comity.cleanroom.whole import run_whole

    for source in (
        WRITES.format("'x' * 500_000"),
        WRITES.format("'[' * 60_000"),
        "def run(rows, parameters):\n    return {'told': [float('nan')]}\n",
        "def run(rows, parameters):\n    return {'other': [1.0]}\n",
        "def run(rows, parameters):\n    return {'told': [1.0] * 2}\n",
    ):
        done = run_whole(rooms.whole(source), {}, np.array([[41.0]]))
        assert done.outputs is None
        assert done.fault


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (b'{"weights": [1, 2]}', ["output 'weights' has 2 numbers; the job declares 3"]),
        (b'{"weights": 1}', ["output 'weights' is no list; the job declares 3 numbers"]),
        (
            b'{"weights": [1, 2, NaN]}',
            ["the job's answer cannot be taken: an output holds what is no finite"],
        ),
        (b'{"weights": [1, 2, "3"]}', ["output 'weights' holds what is no finite number, first at place 2"]),
        (
            b'{"wieghts": [1]}',
            [
                "'wieghts' is not among the declared",
                "output 'weights' is missing; the job declares 3 numbers",
            ],
        ),
        (b"[1]", ["no mapping"]),
    ],
)
def test_on_made_up_rows_all_that_is_wrong_is_told(written: bytes, says: list[str]) -> None:
    told = faults_on_made_up_rows(JOB, written)
    assert len(told) == len(says)
    for fault, wanted in zip(told, says, strict=True):
        assert wanted in fault


def test_columns_that_the_schema_does_not_have_are_named_with_near_ones() -> None:
    schema = Schema.model_validate(
        {
            "columns": {
                "late_payments": {"role": "insensitive", "type": "integer", "min": 0, "max": 9},
                "age": {"role": "insensitive", "type": "integer"},
            }
        }
    )
    with pytest.raises(BadSchema) as refused:
        Columns.of(schema, ("late_paymets", "age"))
    assert "the schema has no column 'late_paymets'; did you mean late_payments?" in str(refused.value)
    assert "add to the schema: age (min and max)" in str(refused.value)
