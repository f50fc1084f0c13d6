"""The mock table: what is in it, and what is left out and why."""

from __future__ import annotations

import numpy as np
import pytest

from comity.cleanroom.columns import Columns
from comity.cleanroom.mock import left_out, mock_table
from comity.errors import BadSchema
from comity.schema import Schema, parse_schema


def schema(**columns: dict[str, object]) -> Schema:
    return parse_schema({"columns": columns}, where="a test")


ODD = schema(
    id={"role": "identifier", "type": "text"},
    born={"role": "quasi_identifier", "type": "text"},
    pulse={"role": "insensitive", "type": "number", "min": 30},
    smokes={"role": "insensitive", "type": "category", "values": ["false", "true"]},
    none={"role": "insensitive", "type": "category", "values": []},
    visits={"role": "insensitive", "type": "integer", "min": 0.5, "max": 9.5},
)
ODD_NAME = {"class": {"role": "insensitive", "type": "category", "values": ["première classe", "2nd"]}}


def test_what_no_job_is_given_is_left_out_for_what_its_column_lacks() -> None:
    assert left_out(ODD) == {"id": "values", "born": "values", "pulse": "min and max", "none": "values"}
    assert mock_table(ODD, 20).names == ("smokes", "visits")
    with pytest.raises(BadSchema, match=r"add to the schema: born \(values\), pulse \(min and max\)"):
        Columns.of(ODD, ["born", "pulse", "visits"])


def test_a_schema_without_public_bounds_makes_no_table() -> None:
    with pytest.raises(BadSchema, match="nothing to make up rows of"):
        mock_table(schema(id={"role": "identifier", "type": "text"}), 20)


def test_a_column_without_a_single_level_is_refused() -> None:
    """It used to be looked for in an empty wheel, for ever."""
    with pytest.raises(BadSchema, match=r"none \(values\)"):
        mock_table(ODD, 20, ["none"])


def test_whole_numbers_stay_within_bounds_that_are_none() -> None:
    visits = mock_table(ODD, 200).numbers("visits")
    assert (np.nanmin(visits), np.nanmax(visits)) == (1.0, 9.0)


@pytest.mark.parametrize("rows", [8, 20, 500])
def test_every_column_has_bounds_or_levels_and_missing_values_however_few_the_rows(rows: int) -> None:
    many = {"role": "insensitive", "type": "category", "values": [f"level {at}" for at in range(40)]}
    table = mock_table(schema(**{**ODD.to_dict()["columns"], **ODD_NAME, "many": many}), rows)
    assert set(table.strings("many")) == {*many["values"], None}  # type: ignore[misc]
    assert {"première classe", "2nd", None} == set(table.strings("class"))
    assert all(table.missing(name).any() for name in table.names)
