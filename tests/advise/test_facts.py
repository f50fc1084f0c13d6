"""What tables answer by themselves: each measure on a table where it is yes, and on one where it is no."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from comity.advise import measure
from comity.data.table import Table
from comity.errors import BadTable, UsageError
from comity.schema import Schema, parse_schema


def people(rows: int, seed: int, **columns: Any) -> Table:
    """Made-up patients whose illness depends on their age."""
    draw = random.Random(seed)
    ages = [draw.randint(18, 80) for _ in range(rows)]
    values: dict[str, list[Any]] = {
        "age": ages,
        "job": [draw.choice("abc") for _ in ages],
        "ill": ["yes" if draw.random() < 0.1 + 0.7 * (age > 50) else "no" for age in ages],
    }
    values |= {name: [make(draw, row) for row in range(rows)] for name, make in columns.items()}
    return Table(pa.table(values), f"table {seed}")


def schema(**more: dict[str, Any]) -> Schema:
    columns = {
        "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 110},
        "job": {"role": "quasi_identifier", "type": "category", "values": ["a", "b", "c"]},
        "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
    }
    return parse_schema({"columns": columns | more}, where="the test")


def test_a_table_that_can_be_anonymised() -> None:
    told = measure({"north": people(400, 1)}, target="ill", schema=schema()).told
    assert told["providers"] == ("one", "1 table given")
    assert told["suits"][0] == "yes"
    assert "5-anonymous" in told["suits"][1]
    assert told["enough"][0] == "yes"
    assert "mixes" not in told


def test_rows_that_are_found_by_what_others_know() -> None:
    (note,) = measure({"north": people(60, 1)}, target="ill", schema=schema()).notes
    assert note.startswith("at north, ")
    assert "are the only ones with their quasi-identifiers" in note


def test_a_table_that_cannot() -> None:
    told = measure({"north": people(24, 1)}, target="ill", schema=schema(), k=20).told
    assert told["suits"][0] == "no"
    assert (
        measure({"north": people(40, 1)}, target="ill", schema=schema(), epsilon=0.01).told["enough"][0]
        == "no"
    )


def test_nothing_is_said_without_a_target() -> None:
    told = measure({"north": people(100, 1)}).told
    assert "suits" not in told
    assert "enough" not in told


def test_personal_data_is_found_and_ids_are_not_evidence() -> None:
    def mail(draw: random.Random, row: int) -> str:
        return f"{draw.choice(['ann', 'bob'])}.{row}@example.org"

    def number(_draw: random.Random, row: int) -> str:
        return f"R-{row:06d}"

    found = measure({"north": people(100, 1, mail=mail, pid=number)}, target="ill", id="pid")
    assert found.told["personal"][0] == "yes"
    assert "mail at north" in found.told["personal"][1]
    assert [one.column for one in found.personal] == ["mail"]
    things = measure({"north": people(100, 1, pid=number)}, target="ill", id="pid")
    assert "personal" not in things.told

    def customer(_draw: random.Random, row: int) -> str:
        return f"C{row:06d}"

    assert "personal" not in measure({"north": people(100, 1, customer=customer)}, target="ill").told
    serial = measure({"north": people(100, 1, serial=number)}, target="ill")
    assert "personal" not in serial.told
    assert [(one.column, one.of_persons) for one in serial.personal] == [("serial", False)]


def test_rows_that_show_whose_they_are() -> None:
    alike = measure({"north": people(300, 1), "south": people(300, 2)}, target="ill", schema=schema()).told
    assert alike["mixes"][0] == "yes"
    regions = {
        name: people(300, seed, region=lambda _draw, _row, name=name: name)
        for seed, name in enumerate(("north", "south"))
    }
    role = {"region": {"role": "quasi_identifier", "type": "category", "values": ["north", "south"]}}
    apart = measure(regions, target="ill", schema=schema(**role)).told
    assert apart["mixes"][0] == "no"


@pytest.mark.parametrize(
    ("advantage", "high", "answer"), [(0.1, 0.2, "yes"), (0.1, 0.35, None), (0.21, 0.3, "no")]
)
def test_an_answer_about_origins_is_what_the_gate_would_say(
    advantage: float, high: float, answer: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the interval leaves open is asked."""
    from comity.attack import origin

    found = SimpleNamespace(advantage=advantage, high=high)
    monkeypatch.setattr(origin, "origin_attack", lambda *_, **__: found)
    facts = measure({"north": people(60, 1), "south": people(60, 2)}, schema=schema())
    assert facts.told.get("mixes", (None,))[0] == answer
    left_open = [note for note in facts.notes if "too few rows to say that it is 20% at most" in note]
    assert len(left_open) == (1 if answer is None else 0)


def test_tables_with_other_columns_are_spread() -> None:
    whole = people(60, 1)
    told = measure({"north": whole.select(["age", "job"]), "south": whole.select(["ill"])}).told
    assert told["columns"][0] == "spread"
    assert told["providers"][0] == "two"


def test_ids_at_several_providers_are_pointed_out() -> None:
    def number(_draw: random.Random, row: int) -> str:
        return f"R-{row:06d}"

    tables = {"north": people(60, 1, pid=number), "south": people(60, 2, pid=number)}
    notes = measure(tables, target="ill", id="pid").notes
    assert "60 ids stand at several providers" in notes[-1]
    assert "providers_per_record: 2" in notes[-1]


def test_what_cannot_be_measured() -> None:
    with pytest.raises(UsageError, match="no table"):
        measure({})
    with pytest.raises(BadTable, match="no column 'sick'"):
        measure({"north": people(60, 1)}, target="sick", schema=schema())
