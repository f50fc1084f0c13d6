"""Inferred types and roles, on columns whose role a steward would not hesitate about."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.data import adult_schema, check_table, infer_schema, load_adult, read_table
from comity.data.hints import DEMOGRAPHICS, ends_in, hinted, is_exactly, words_of
from comity.errors import BadTable
from comity.schema import ColumnType, Role

ROWS = 300
GENERATOR = np.random.default_rng(7)
FIRST = ["Anna", "Bob", "Carl", "Dora", "Émile", "Fay", "Gus", "Hana", "Ian", "Jo"]
LAST = [
    f"{head}{tail}"
    for head in ("Smi", "Jon", "Mül", "Rui", "Lee")
    for tail in ("th", "es", "ler", "za", "son")
]


def infer(name: str, values: list, **named: str):
    found = infer_schema(read_table(pa.table({name: values})), **named)
    return found.columns[0]


@pytest.mark.parametrize(
    ("name", "values", "role"),
    [
        ("contact", [f"user{row}@example.org" for row in range(ROWS)], "identifier"),
        (
            "x",
            [f"+32 47{row % 10} {10 + row % 90} {10 + row % 80} {20 + row % 70}" for row in range(ROWS)],
            "identifier",
        ),
        ("patient", [f"{FIRST[row % 10]} {LAST[row % 25]}" for row in range(ROWS)], "identifier"),
        ("first_name", [FIRST[row % 10] for row in range(ROWS)], "identifier"),
        ("source", [f"10.0.{row % 7}.{row % 250}" for row in range(ROWS)], "identifier"),
        ("patient_id", GENERATOR.permutation(10 * ROWS)[:ROWS].tolist(), "identifier"),
        ("nr", list(range(1, ROWS + 1)), "identifier"),
        ("anything", list(range(1000, 1000 + ROWS)), "identifier"),
        ("token", [f"t{row:x}" for row in range(ROWS)], "identifier"),
        (
            "remark",
            [f"seen on ward {row % 5} with a long complaint about the left knee" for row in range(ROWS)],
            "identifier",
        ),
        ("age", GENERATOR.integers(18, 90, ROWS).tolist(), "quasi_identifier"),
        ("zipCode", GENERATOR.integers(1000, 9999, ROWS).tolist(), "quasi_identifier"),
        (
            "birth_date",
            [f"19{row % 90 + 10}-0{row % 9 + 1}-1{row % 9}" for row in range(ROWS)],
            "quasi_identifier",
        ),
        ("when", [f"2020-0{row % 9 + 1}-{row % 28 + 1:02d}" for row in range(ROWS)], "quasi_identifier"),
        ("colour", [["red", "green", "blue"][row % 3] for row in range(ROWS)], "quasi_identifier"),
        ("rooms", [row % 8 for row in range(ROWS)], "quasi_identifier"),
        ("country_name", [["Belgium", "France"][row % 2] for row in range(ROWS)], "quasi_identifier"),
        ("name", [["Model A", "Model B"][row % 2] for row in range(ROWS)], "quasi_identifier"),
        ("salary", GENERATOR.integers(20_000, 90_000, ROWS).tolist(), "sensitive"),
        ("diagnosis", [["flu", "asthma", "none"][row % 3] for row in range(ROWS)], "sensitive"),
        ("reading", GENERATOR.normal(size=ROWS).tolist(), "sensitive"),
        ("steps", GENERATOR.integers(0, 20_000, ROWS).tolist(), "sensitive"),
        ("constant", [1] * ROWS, "insensitive"),
        ("name", ["Jan Peeters"] * ROWS, "identifier"),
        ("phone", ["0470/12.34.56"] * ROWS, "identifier"),
        ("address", ["Kerkstraat 5"] * ROWS, "identifier"),
        ("ssn", ["123-45-6789"] * ROWS, "identifier"),
        ("mrn", [1002345] * ROWS, "identifier"),
        ("mrn", [1002345 + row % 3 for row in range(ROWS)], "identifier"),
        ("email", ["a@example.org"] * ROWS, "identifier"),
        ("x", ["a@example.org"] * ROWS, "identifier"),
        ("date_of_death", ["2020-04-05"] * ROWS, "quasi_identifier"),
        ("dob", ["1950-04-05"] * ROWS, "quasi_identifier"),
        ("diagnosis", ["flu"] * ROWS, "sensitive"),
        ("sensor", [row * 0.29371 + 0.000013 for row in range(ROWS)], "sensitive"),
        ("email_opened", ["yes", "no"] * (ROWS // 2), "quasi_identifier"),
        ("empty", [None] * ROWS, "insensitive"),
    ],
)
def test_roles(name: str, values: list, role: str) -> None:
    column = infer(name, values)
    assert str(column.column.role) == role, column.evidence
    assert column.evidence


def test_named_columns_have_the_roles_they_are_named_for() -> None:
    table = read_table(pa.table({"key": [1, 2, 3], "age": [30, 40, 50], "y": [0, 1, 1]}))
    found = infer_schema(table, target="y", id="key")
    assert found.schema.target == "y"
    assert found.schema["y"].type is ColumnType.category
    assert found.schema["y"].values == ("0", "1")
    assert found.schema["key"].role is Role.identifier
    assert (found.schema.unit.column, found.schema.unit.max_rows) == ("key", 1)
    for wrong in ({"target": "z"}, {"id": "z"}):
        with pytest.raises(BadTable, match="no column 'z'"):
            infer_schema(table, **wrong)


def test_types() -> None:
    assert infer("zip", [1000, 2000, 3000]).column.type is ColumnType.category
    assert infer("zip", [1000, 2000, 3000]).column.values == ("1000", "2000", "3000")
    assert infer("age", [30, 40]).column.type is ColumnType.integer
    assert infer("x", [0.5, 1.5]).column.type is ColumnType.number
    assert infer("w", ["a", "b"]).column.type is ColumnType.category
    many = infer("w", [f"v{row % 1500}" for row in range(6000)])
    assert (many.column.type, many.column.values) == (ColumnType.text, None)


def test_observed_bounds_and_levels_are_marked_as_such() -> None:
    table = read_table(pa.table({"age": [30, 40], "w": ["a", "b"], "id": ["p", "q"]}))
    found = infer_schema(table, id="id")
    assert found.observed == ("age", "w")
    assert (found.schema["age"].min, found.schema["age"].max) == (30, 40)
    assert "bounds observed, not public: confirm" in found.rows()[0][4]
    assert found.rows()[0][:4] == ("age", "integer", "quasi_identifier", "30 to 40")
    assert found.columns[2].note == ""


def test_two_columns_of_narrow_degrees_beside_each_other_are_coordinates() -> None:
    north = [round(50.8 + row * 0.000137, 6) for row in range(ROWS)]
    east = [round(4.3 + row * 0.000291, 6) for row in range(ROWS)]
    other = list(range(7, 7 + 2 * ROWS, 2))
    roles = infer_schema(read_table(pa.table({"a": north, "b": east, "c": other}))).columns
    assert [str(each.column.role) for each in roles[:2]] == ["identifier", "identifier"]
    roles = infer_schema(read_table(pa.table({"a": north, "c": other, "b": east}))).columns
    assert str(roles[0].column.role) == "sensitive"
    roles = infer_schema(read_table(pa.table({"lat": north, "b": east}))).columns
    assert [str(each.column.role) for each in roles] == ["identifier", "identifier"]


def test_decimal_commas_are_pointed_out() -> None:
    assert "decimal point" in infer("x", ["1,5", "2,5", "3,5"]).note


def test_one_schema_for_several_tables_covers_all_of_them() -> None:
    tables = [
        read_table(pa.table({"age": [30, 40], "w": ["a", "b"]})),
        read_table(pa.table({"age": [99], "w": ["c"]})),
    ]
    schema = infer_schema(tables).schema
    assert (schema["age"].max, schema["w"].values) == (99, ("a", "b", "c"))
    for table in tables:
        check_table(table, schema)


def test_adult_comes_out_as_its_schema_says_but_for_what_nobody_can_infer() -> None:
    found = infer_schema(load_adult(), target="income", id="id").schema
    shipped = adult_schema()
    other = [name for name in shipped if found[name].role is not shipped[name].role]
    assert other == ["hours-per-week"]  # proposed as sensitive: the safer of the two


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "a": st.one_of(st.none(), st.integers(-5, 5)),
                "b": st.one_of(st.none(), st.text(alphabet="xyz ,", max_size=3)),
                "c": st.one_of(st.none(), st.floats(-1, 1, allow_nan=False)),
            }
        ),
        min_size=1,
        max_size=30,
    )
)
def test_a_table_always_fits_the_schema_inferred_from_it(rows: list[dict]) -> None:
    table = read_table(
        pa.table(
            {
                "a": pa.array([row["a"] for row in rows], pa.int64()),
                "b": pa.array([row["b"] for row in rows], pa.string()),
                "c": pa.array([row["c"] for row in rows], pa.float64()),
            }
        ),
        schema=None,
    )
    found = infer_schema(table)
    checked = check_table(table, found.schema)
    assert checked.table.rows == table.rows
    assert len(found.rows()) == 3


def test_words_of_headers() -> None:
    assert words_of("patientBirth_date-2") == ("patient", "birth", "date", "2")
    assert words_of("ZIPCode") == ("zipcode",)
    assert hinted("customer age (years)", DEMOGRAPHICS) == "age"
    assert hinted("wage", DEMOGRAPHICS) is None
    assert is_exactly("First Name", frozenset({"first name"}))
    assert not is_exactly("first name of pet", frozenset({"first name"}))
    assert ends_in("dept_code", frozenset({"code"})) == "code"
    assert ends_in("", frozenset({"code"})) is None


def test_numbers_with_a_decimal_comma_are_said_to_be_numbers() -> None:
    found = infer("measured", [f"{100348 + row},{row % 90 + 10}" for row in range(ROWS)])
    assert found.column.role is Role.sensitive
    assert found.evidence.startswith("numbers written with a comma")
    assert "decimal point" in found.note


def test_categories_of_a_few_words_hold_nothing() -> None:
    found = infer("schooling", ["some college no degree", "high school graduate", "less than primary"] * 100)
    assert not found.kinds
