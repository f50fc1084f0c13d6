"""The schema file to confirm: it reads back, and what was observed is not public in it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.assess import assess_table, schema_text
from comity.data import adult_schema, load_adult, read_table
from comity.errors import BadTable
from comity.schema import parse_schema, read_schema

TABLE = read_table(
    pa.table(
        {
            "mail": [f"p{row}@example.org" for row in range(40)],
            "age": [20 + row % 25 for row in range(40)],
            "score": [row / 7 for row in range(40)],
            "job, paid": ["clerk", "yes", "no: #1", "smith"] * 10,
            "yes": ["a", "b"] * 20,
        }
    )
)


def test_it_reads_back_with_the_same_roles_and_no_observed_bound(tmp_path: Path) -> None:
    assessment = assess_table(TABLE, target="yes")
    text = schema_text(TABLE, assessment)
    (tmp_path / "schema.yaml").write_text(text)
    schema = read_schema(tmp_path / "schema.yaml")
    assert {name: str(column.role) for name, column in schema.columns.items()} == {
        column.name: column.role for column in assessment.columns
    }
    assert all(column.min is None and column.values is None for column in schema.columns.values())
    assert "# min: 20" in text
    assert f"# max: {39 / 7!r}" in text
    assert "replace by the public list" in text
    assert "example.org" not in text
    again = assess_table(TABLE, schema)
    assert [column.role for column in again.columns] == [column.role for column in assessment.columns]


def test_the_comments_are_the_schema_once_they_are_public(tmp_path: Path) -> None:
    import yaml

    text = schema_text(TABLE, assess_table(TABLE))
    public = text.replace("# min:", "min:").replace("# max:", "max:").replace("# values:", "values:")
    schema = parse_schema(yaml.safe_load(public), where="here")
    assert (schema["age"].min, schema["age"].max) == (20, 44)
    assert schema["job, paid"].values == ("clerk", "no: #1", "smith", "yes")


def test_what_the_steward_had_given_is_kept(tmp_path: Path) -> None:
    table, schema = load_adult(), adult_schema()
    path = tmp_path / "schema.yaml"
    path.write_text(schema_text(table, assess_table(table, schema), schema))
    assert read_schema(path) == schema


def test_large_bounds_keep_their_digits_and_long_lists_are_not_written() -> None:
    table = read_table(pa.table({"income": [123_456_789 + 3 * row for row in range(300)]}))
    assert "# min: 123456789\n" in schema_text(table, assess_table(table))
    table = read_table(pa.table({"city code": [f"c{row % 80}" for row in range(800)]}))
    text = schema_text(table, assess_table(table))
    assert "80 were seen" in text
    assert "c79" not in text


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=4, unique=True),
    st.lists(st.text(max_size=8), min_size=4, max_size=4),
)
def test_any_name_and_value_reads_back(names: list[str], values: list[str]) -> None:
    import yaml

    try:
        table = read_table(pa.table(dict.fromkeys(names, values * 5)))
    except BadTable:
        return  # what cannot be a table is not this test's business
    text = schema_text(table, assess_table(table))
    assert set(parse_schema(yaml.safe_load(text), where="here").columns) == set(table.names)
    public = parse_schema(yaml.safe_load(text.replace("# values:", "values:")), where="here")
    for name, column in public.columns.items():
        assert column.values is None or set(column.values) == set(table.levels(name)[1])


def test_values_with_line_breaks_stay_in_one_comment() -> None:
    import yaml

    table = read_table(pa.table({"a\nb": ["x\ny", "# z", "it's", "\u2028", "tab\t"] * 5}))
    text = schema_text(table, assess_table(table, quasi_identifiers=["a\nb"]))
    public = parse_schema(yaml.safe_load(text.replace("# values:", "values:")), where="here")
    assert set(public["a\nb"].values or ()) == set(table.levels("a\nb")[1])
