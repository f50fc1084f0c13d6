"""Warnings of columns that are released as they are and single out rows; figures in words."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from comity.data import Table
from comity.deidentify import protect
from comity.deidentify.release.required import models_of, written_models
from comity.deidentify.release.steward import percents
from comity.errors import BadTable, UsageError
from comity.schema import parse_schema

SCHEMA = parse_schema(
    {
        "columns": {
            "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 99},
            "opened": {"role": "insensitive", "type": "text"},
            "pay": {"role": "sensitive", "type": "integer", "min": 0, "max": 9},
        }
    },
    where="a test",
)


def made(distinct: int, rows: int = 300) -> Table:
    g = np.random.default_rng(0)
    days = [f"{row % distinct:05}" for row in range(rows)]
    return Table(pa.table({"age": g.integers(0, 99, rows), "opened": days, "pay": g.integers(0, 9, rows)}))


def test_a_nearly_unique_column_is_warned_of():
    notes = protect(made(300), SCHEMA, k=5).report.notes
    assert [note for note in notes if "released rows are unique" in note and "'opened'" in note]
    assert not any("'pay'" in note for note in notes)


def test_a_column_with_few_values_is_not():
    assert not any("unique" in note for note in protect(made(3), SCHEMA, k=50).report.notes)


@pytest.mark.parametrize(
    ("asked", "said"), [({"k": 301}, "only 300 rows"), ({"k": 5, "l": 10}, "only 9 values")]
)
def test_what_no_class_can_have_is_said_before_the_search(asked, said):
    with pytest.raises(BadTable, match=said):
        protect(made(3), SCHEMA, **asked)


def test_a_mistyped_target_is_refused():
    with pytest.raises(UsageError, match="did you mean pay"):
        protect(made(3), SCHEMA, k=5, target="payy")


def test_t_as_written_is_t_as_an_argument():
    plain, equal = written_models(["t=0.4:pay", "t-equal=0.4:pay"], SCHEMA, lambda path: path)
    assert plain == models_of(SCHEMA, 5, None, 0.4)[1]
    assert plain.distance == "ordered"
    assert equal.distance == "equal"


def test_the_larger_share_is_not_written_smaller():
    assert percents(0.0004, 0.0003) == ["0.040%", "0.030%"]
    assert percents(0.2, 0.08) == ["20.0%", "8.0%"]
    assert percents(0.0, 0.0) == ["0%", "0%"]
