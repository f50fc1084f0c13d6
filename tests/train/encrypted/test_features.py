"""Columns of shares come from the schema alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from comity.data.table import Table
from comity.errors import BadSchema
from comity.schema import parse_schema
from comity.train.encrypted.features import Bins, Features, Number, spread

SCHEMA = parse_schema(
    {
        "columns": {
            "job": {"role": "insensitive", "type": "category", "values": ["a", "b"]},
            "age": {"role": "insensitive", "type": "integer", "min": 0, "max": 100},
            "odd": {"role": "insensitive", "type": "number"},
            "one": {"role": "insensitive", "type": "number", "min": 3, "max": 3},
        }
    },
    where="here",
)


def test_numbers_come_first_then_what_is_missing_then_levels() -> None:
    features = Features.of(SCHEMA, ["job", "age"])
    table = Table(pa.table({"job": ["b", None, "c", "a"], "age": [0, 100, None, 200]}))
    assert features.labels == ("age", "age: missing", "job: missing", "job: a", "job: b")
    assert features.encode(table).tolist() == [
        [-1, 0, 0, 0, 1],
        [1, 0, 1, 0, 0],
        [0, 1, 0, 0, 0],
        [1, 0, 0, 1, 0],
    ]


def test_numbers_between_the_widest_bounds_are_numbers() -> None:
    """Their width is no finite number."""
    widest = Number("far", -1.7e308, 1.7e308)
    table = Table(pa.table({"far": [-1.7e308, 0.0, 1.7e308, None]}))
    assert Features((widest,), ()).encode(table).tolist() == [[-1, 0], [0, 0], [1, 0], [0, 1]]
    bins = Bins(widest, 4)
    assert bins.places(table).tolist() == [1, 3, 4, 0]
    assert bins.values[0] == "bin 1 (-1.7e+308 to -8.5e+307)"


def test_blocks_side_by_side_are_put_in_the_whole_table_s_order() -> None:
    whole = Features.of(SCHEMA, ["job", "age", "one"])
    blocks = [Features.of(SCHEMA, ["one", "job"]), Features.of(SCHEMA, ["age"])]
    words = np.array([word for block in blocks for word in block.labels])
    assert words[whole.order(blocks)].tolist() == list(whole.labels)


def test_no_two_columns_have_one_word() -> None:
    names = ("missing", "a", '"missing"', "a: b")
    columns = {
        name: {"role": "insensitive", "type": "category", "values": list(names)} for name in (*names, "c")
    }
    columns |= {"a: missing": {"role": "insensitive", "type": "number", "min": 0, "max": 1}}
    schema = parse_schema({"columns": columns}, where="here")
    features = Features.of(schema, list(columns))
    assert len(set(features.labels)) == features.width
    blocks = [Features.of(schema, [name]) for name in reversed(columns)]
    assert sorted(features.order(blocks).tolist()) == list(range(features.width))


def test_columns_without_public_bounds_or_too_many_are_refused() -> None:
    with pytest.raises(BadSchema, match="odd"):
        Features.of(SCHEMA, ["odd"])
    levels = [str(at) for at in range(400)]
    wide = {"columns": {"c": {"role": "insensitive", "type": "category", "values": levels}}}
    with pytest.raises(BadSchema, match="401 columns"):
        Features.of(parse_schema(wide, where="here"), ["c"])


@pytest.mark.parametrize("rows", [1, 2, 3, 100, 1597, 38_875])
def test_the_order_has_every_row_once_and_spreads_neighbours(rows: int) -> None:
    order = spread(rows)
    assert np.array_equal(np.sort(order), np.arange(rows))
    if rows > 1000:  # a batch of a tenth has about a tenth of any block of a tenth
        share = np.mean(order[: rows // 10] < rows // 10)
        assert 0.08 < share < 0.12
