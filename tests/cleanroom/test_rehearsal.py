"""A rehearsal meets what real rows can bring: missing values, single rows, as many as may share a block."""

from __future__ import annotations

from typing import Any

import pytest

from comity.cleanroom.job import Blocks, Job, Kind, Output
from comity.cleanroom.rehearsal import rehearse
from comity.schema import parse_schema

pytestmark = pytest.mark.usefixtures("sandboxed")
SCHEMA = parse_schema(
    {"columns": {"age": {"role": "insensitive", "type": "integer", "min": 18, "max": 80}}}, where="a test"
)


def asked(program: str, **blocks: Any) -> Job:
    source = f"def run(rows, parameters):\n    age = rows['age']\n    return {{'told': [{program}]}}\n"
    outputs = (Output("told", 1, norm=10.0),)
    return Job("t", source, ("age",), Kind.statistic, outputs, {}, blocks=Blocks(**blocks))


def test_a_program_that_fails_on_a_missing_value_is_told_of_it() -> None:
    """Each row is a block of its own: on real rows it would count as nothing, and nobody would say so."""
    done = rehearse(asked("1.0 if int(age[0]) else 0.0"), {}, SCHEMA)
    assert not done.fault
    assert done.gave is not None
    assert done.blocks is not None
    assert 0 < done.gave < done.blocks
    assert "cannot convert float NaN to integer" in done.partly


def test_blocks_hold_single_rows_and_as_many_as_may_share_one() -> None:
    done = rehearse(asked("float(len(age))", together=64), {}, SCHEMA)
    assert done.gave == done.blocks
    # 64 rows give 64, and are cut to 8 norms, the root of that
    assert done.longest["told"] == pytest.approx(8.0)
    done = rehearse(asked("1.0 if len(age) < 2 else later", together=64), {}, SCHEMA)
    assert done.gave is not None
    assert 0 < done.gave < (done.blocks or 0)
    assert "name 'later' is not defined" in done.partly


def test_a_fixed_number_of_blocks_shares_all_rows() -> None:
    done = rehearse(asked("float(len(age))", number=10), {}, SCHEMA)
    assert (done.gave, done.blocks) == (10, 10)
    assert done.longest["told"] == 20.0
