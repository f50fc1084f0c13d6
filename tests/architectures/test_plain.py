"""`plain`: the table leaves where nothing in it is private, and the provider's own program sees to that."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from comity.architectures import find
from comity.architectures.definition import Task
from comity.architectures.plain import personal_columns
from comity.compare.settings import ML_PARTY
from comity.data.ipc import table_from_bytes
from comity.data.table import Table
from comity.errors import BadAgreement, BadInput, ClauseRefused, Refused, Withheld
from comity.schema import Schema, Unit, parse_schema

Values = Callable[[random.Random, int], str]


def machines(folder: Path, stage_of: Any, *, extra: tuple[str, Values] | None = None) -> Any:
    """A stage over two providers' machines, with one more column that the schema calls insensitive."""
    names = ["hours", "part", "failed", *([] if extra is None else [extra[0]])]
    for number, provider in enumerate(("north", "south")):
        draw = random.Random(number)
        with open(folder / f"of-{provider}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(names)
            for row in range(300):
                hours = draw.randint(0, 9000)
                fails = "yes" if draw.random() < 0.1 + 0.7 * (hours > 6000) else "no"
                own = [] if extra is None else [extra[1](draw, 1000 * number + row)]
                writer.writerow([hours, draw.choice(["belt", "fan"]), fails, *own])
    added = "" if extra is None else f"  {extra[0]}: {{role: insensitive, type: text}}\n"
    (folder / "schema.yaml").write_text(
        "columns:\n"
        "  hours: {role: insensitive, type: integer, min: 0, max: 10000}\n"
        "  part: {role: insensitive, type: category, values: [belt, fan]}\n"
        '  failed: {role: target, type: category, values: ["no", "yes"]}\n' + added,
        encoding="utf-8",
    )
    return stage_of(
        folder,
        providers=[f"{name}={folder}/of-{name}.csv" for name in ("north", "south")],
        target="failed",
        id=None,
        schema=folder / "schema.yaml",
    )


def mail(draw: random.Random, row: int) -> str:
    return f"{draw.choice(['ann', 'bob', 'eve'])}.{row}@example.org"


def serial(draw: random.Random, row: int) -> str:
    return f"{draw.choice('ABCDEF')}{row:06d}-{draw.randint(100, 999)}x"


def test_the_rows_arrive_as_they_are(tmp_path: Path, stage_of: Any) -> None:
    stage = machines(tmp_path, stage_of)
    outcome = stage.play("plain")
    assert outcome.errors == {}
    received = pq.read_table(outcome.sessions[ML_PARTY] / "received-north.parquet")
    sent = pq.read_table(tmp_path / "parties" / "north" / "tables" / "train.parquet")
    assert received.equals(sent.select(received.column_names))
    assert received.column_names == ["hours", "part", "failed"]  # no record id leaves
    assert outcome.figures[ML_PARTY]["rows_used"] == sum(
        stage.inputs.train[name].num_rows + stage.inputs.seed_rows[name] for name in ("north", "south")
    )
    entry = next(iter(outcome.ledgers["north"].events("released")))
    assert entry.body["exact"]


def test_personal_data_is_withheld_and_the_steward_knows_why(tmp_path: Path, stage_of: Any) -> None:
    stage = machines(tmp_path, stage_of, extra=("note", mail))
    outcome = stage.play("plain")
    assert isinstance(outcome.errors["north"], Withheld)
    assert "released" not in outcome.kinds("north")
    assert not (outcome.sessions[ML_PARTY] / "scores.parquet").exists()
    reason = next(iter(outcome.ledgers["north"].events("withheld"))).body["reason"]
    assert "note" in reason
    assert "email" in reason
    # what the others are told does not say which column, or that there is one
    told = str(outcome.errors[ML_PARTY])
    assert "note" not in told
    assert "email" not in told


def test_values_that_find_one_row_have_to_be_confirmed(tmp_path: Path, stage_of: Any) -> None:
    def confirm(document: dict[str, Any]) -> None:
        document["architectures"]["plain"]["confirmed"] = ["serial"]

    stage = machines(tmp_path, stage_of, extra=("serial", serial))
    assert isinstance(stage.play("plain").errors["north"], Withheld)
    assert stage.play("plain", change=confirm, run="confirmed").errors == {}


def test_only_columns_that_there_are_can_be_confirmed(tmp_path: Path, stage_of: Any) -> None:
    def misspell(document: dict[str, Any]) -> None:
        document["architectures"]["plain"]["confirmed"] = ["hours", "sreial"]

    with pytest.raises(BadAgreement, match=r"confirmed\[1\]|confirmed\.1"):
        machines(tmp_path, stage_of).play("plain", change=misspell)


def test_confirming_does_not_let_people_out(tmp_path: Path, stage_of: Any) -> None:
    def confirm(document: dict[str, Any]) -> None:
        document["architectures"]["plain"]["confirmed"] = ["note"]

    stage = machines(tmp_path, stage_of, extra=("note", mail))
    assert isinstance(stage.play("plain", change=confirm).errors["north"], Withheld)


@pytest.mark.parametrize("name", ["not_sensitive", "not_personal"])
def test_it_has_to_be_said_by_name(name: str, tmp_path: Path, stage_of: Any) -> None:
    def forget(document: dict[str, Any]) -> None:
        del document["architectures"]["plain"][name]

    outcome = machines(tmp_path, stage_of).play("plain", change=forget)
    refused = outcome.errors["north"]
    assert isinstance(refused, ClauseRefused)
    assert refused.clause == f"architectures.plain.{name}"
    assert f"{name}: true" in str(outcome.errors[ML_PARTY])
    assert outcome.kinds("north")[-2:] == ["asked", "refused"]
    assert [message.kind for message in outcome.sent["north"]] == ["refusal"]


def test_saying_no_is_a_contradiction(tmp_path: Path, stage_of: Any) -> None:
    def deny(document: dict[str, Any]) -> None:
        document["architectures"]["plain"]["not_personal"] = False

    with pytest.raises(BadAgreement, match="not_personal: plain is for data of which that is true"):
        machines(tmp_path, stage_of).play("plain", change=deny)


def test_rows_of_somebody_are_refused(tmp_path: Path, stage_of: Any) -> None:
    def of_machines(document: dict[str, Any]) -> None:
        for data in document["data"]:
            data["unit"] = {"column": "part", "max_rows": 300}

    outcome = machines(tmp_path, stage_of).play("plain", change=of_machines)
    assert "rows belong to somebody" in str(outcome.errors["north"])
    assert "charged" not in outcome.kinds("north")


def numbered(folder: Path, stage_of: Any) -> Any:
    """A stage over machines with an id column, named by --id, and an identifier that is no record id."""
    for number, provider in enumerate(("north", "south")):
        draw = random.Random(number)
        with open(folder / f"of-{provider}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["machine", "tag", "hours", "failed"])
            for row in range(300):
                hours = draw.randint(0, 9000)
                fails = "yes" if draw.random() < 0.1 + 0.7 * (hours > 6000) else "no"
                writer.writerow([f"{provider}-{row}", mail(draw, row), hours, fails])
    (folder / "schema.yaml").write_text(
        "columns:\n"
        "  machine: {role: insensitive, type: text}\n"
        "  tag: {role: identifier, type: text}\n"
        "  hours: {role: insensitive, type: integer, min: 0, max: 10000}\n"
        '  failed: {role: target, type: category, values: ["no", "yes"]}\n',
        encoding="utf-8",
    )
    return stage_of(
        folder,
        providers=[f"{name}={folder}/of-{name}.csv" for name in ("north", "south")],
        target="failed",
        id="machine",
        schema=folder / "schema.yaml",
    )


def test_identifiers_may_be_in_the_table_and_do_not_leave(tmp_path: Path, stage_of: Any) -> None:
    stage = numbered(tmp_path, stage_of)
    assert find("plain").skip(stage.inputs.task, stage.inputs.providers) is None
    outcome = stage.play("plain")
    assert outcome.errors == {}
    for name in ("north", "south"):
        (message,) = outcome.sent[name]
        assert table_from_bytes(message.parts["table"]).column_names == ["hours", "failed"]
        assert b"north-" not in message.parts["table"]
        assert b"@example.org" not in message.parts["table"]


def test_an_identifier_that_would_leave_is_refused(tmp_path: Path, stage_of: Any) -> None:
    """The run takes `hours` for a feature; the agreement says that it is an identifier."""

    def identify(document: dict[str, Any]) -> None:
        document["data"][0]["columns"]["hours"] = {"role": "identifier", "type": "text"}

    outcome = machines(tmp_path, stage_of).play("plain", change=identify)
    refused = outcome.errors["north"]
    assert isinstance(refused, ClauseRefused)
    assert "'hours' has the role identifier" in str(refused)
    assert [message.kind for message in outcome.sent["north"]] == ["refusal"]


@pytest.mark.parametrize("role", ["quasi_identifier", "sensitive"])
def test_an_agreement_with_private_columns_cannot_be_written(
    role: str, tmp_path: Path, stage_of: Any
) -> None:
    def private(document: dict[str, Any]) -> None:
        document["data"][0]["columns"]["hours"]["role"] = role

    with pytest.raises(BadAgreement, match="hands tables over as they are"):
        machines(tmp_path, stage_of).play("plain", change=private)


def test_a_column_that_was_not_agreed_is_refused(tmp_path: Path, stage_of: Any) -> None:
    def less(document: dict[str, Any]) -> None:
        for data in document["data"]:
            del data["columns"]["part"]

    outcome = machines(tmp_path, stage_of).play("plain", change=less)
    assert "no column 'part'" in str(outcome.errors["north"])


def test_another_release_of_the_lineage_is_refused(tmp_path: Path, stage_of: Any) -> None:
    stage = machines(tmp_path, stage_of)
    assert stage.play("plain").errors == {}
    table = tmp_path / "parties" / "north" / "tables" / "train.parquet"
    rows = pq.read_table(table)
    pq.write_table(rows.slice(1), table)
    assert isinstance(stage.play("plain").errors["north"], Refused)


def test_no_attempt_is_charged_for_a_table_that_is_not_there(tmp_path: Path, stage_of: Any) -> None:
    stage = machines(tmp_path, stage_of)
    (tmp_path / "parties" / "north" / "tables" / "train.parquet").unlink()
    outcome = stage.play("plain")
    assert isinstance(outcome.errors["north"], BadInput)
    assert outcome.errors["north"].private
    assert "charged" not in outcome.kinds("north")


def schema_of(**roles: str) -> Schema:
    columns = {name: {"role": role, "type": "text"} for name, role in roles.items()}
    return parse_schema({"columns": columns}, where="the test")


def test_compare_skips_it_by_roles() -> None:
    skip = find("plain").skip
    fine = Task(schema_of(a="insensitive", y="target"), "y", "1", "id")
    assert skip(fine, ("north",)) is None
    named = Task(schema_of(a="insensitive", b="identifier", y="target"), "y", "1", "b")
    assert skip(named, ("north",)) is None
    for role in ("quasi_identifier", "sensitive"):
        said = skip(Task(schema_of(a="insensitive", b=role, y="target"), "y", "1", "id"), ("north",))
        assert said is not None
        assert f"'b' has the role {role}" in said
    unit = Schema(columns=schema_of(a="insensitive", y="target").columns, unit=Unit(column="a", max_rows=2))
    assert "belong to somebody" in str(skip(Task(unit, "y", "1", "id"), ("north",)))


def test_what_looks_personal_and_what_does_not() -> None:
    import pyarrow as pa

    draw = random.Random(3)
    rows = range(200)
    table = Table(
        pa.table(
            {
                "mail": [mail(draw, row) for row in rows],
                "sex": [draw.choice(["male", "female"]) for _ in rows],
                "serial": [serial(draw, row) for row in rows],
                "pressure": [round(draw.gauss(5, 1), 3) for _ in rows],
                "part": [draw.choice(["belt", "fan"]) for _ in rows],
                "failed": [draw.choice(["no", "yes"]) for _ in rows],
            }
        ),
        "made up",
    )
    found = {one.column: one for one in personal_columns(table, target="failed")}
    assert set(found) == {"mail", "sex", "serial"}
    assert [found[name].of_persons for name in ("mail", "sex", "serial")] == [True, True, False]
    confirmed = personal_columns(table, target="failed", confirmed=("mail", "sex", "serial"))
    assert [one.column for one in confirmed] == ["mail", "sex"]


def found_in(values: list[str], *, confirmed: bool) -> bool:
    import pyarrow as pa

    draw = random.Random(5)
    failed = [draw.choice(["no", "yes"]) for _ in values]
    table = Table(pa.table({"v": values, "failed": failed}), "made up")
    return bool(personal_columns(table, target="failed", confirmed=("v",) if confirmed else ()))


def bank_account(draw: random.Random) -> str:
    from stdnum import iban

    own = f"ABNA{draw.randint(10**9, 10**10 - 1)}"
    return f"NL{iban.calc_check_digits('NL00' + own)}{own}"


@pytest.mark.parametrize(
    "value",
    [
        lambda draw: f"{draw.randint(1940, 2000)}-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}",
        lambda draw: draw.choice(["male", "female"]),
        lambda draw: draw.choice(["A+", "B+", "O-", "AB+"]),
        bank_account,
    ],
)
def test_values_that_persons_have_never_leave_as_confirmed(value: Callable[[random.Random], str]) -> None:
    draw = random.Random(4)
    assert found_in([value(draw) for _ in range(200)], confirmed=True)


FIRST = [
    "Anna",
    "Bram",
    "Cato",
    "Daan",
    "Eva",
    "Finn",
    "Hanna",
    "Julia",
    "Kees",
    "Lotte",
    "Mark",
    "Nora",
    "Piet",
    "Roos",
    "Sam",
    "Tess",
    "Vera",
    "Wout",
]
LAST = [
    "Jansen",
    "Bakker",
    "Visser",
    "Smit",
    "Meijer",
    "Mulder",
    "Peters",
    "Hendriks",
    "Dekker",
    "Brouwer",
    "Jacobs",
    "Vermeulen",
    "Kuiper",
]


@pytest.mark.parametrize(
    "form",
    ["{f} {s}", "{s}, {f}", "{s},{f}", "{f}_{s}", "{f}.{s}", "{f} {s} (4711)", "Dr. {f} {s}"],
)
def test_names_are_found_however_their_words_are_joined(form: str) -> None:
    """What docs/plain.md says is found; it says as well what is not."""
    draw = random.Random(6)
    values = [form.format(f=draw.choice(FIRST), s=draw.choice(LAST)) for _ in range(200)]
    assert found_in(values, confirmed=True)


@pytest.mark.parametrize("form", ["{a}_{b}", "{a}.{b}", "{a},{b}"])
def test_parts_whose_words_are_joined_are_no_names(form: str) -> None:
    draw = random.Random(7)
    words = [
        "Belt",
        "Fan",
        "Pump",
        "Valve",
        "Motor",
        "Wheel",
        "Filter",
        "Sensor",
        "Bearing",
        "Housing",
        "Shaft",
        "Spring",
    ]
    values = [form.format(a=draw.choice(words), b=draw.choice(words)) for _ in range(200)]
    assert not found_in(values, confirmed=True)
