"""What a person gets for bad input: one clear line, the right exit code, nothing half-written."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def comity(tmp_path: Path) -> Run:
    """Runs the command in an empty folder."""

    def run(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from comity.cli import main; main()", *words]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False, **options
        )  # type: ignore[call-overload]

    return run


def rows_of(count: int, seed: int = 0) -> list[dict[str, object]]:
    draw = random.Random(seed)
    return [
        {
            "id": f"p{row}",
            "age": draw.randint(18, 80),
            "job": draw.choice(["baker", "clerk", "smith"]),
            "ill": draw.choice(["no", "no", "yes"]),
        }
        for row in range(count)
    ]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def changed(count: int = 400, **values: Mapping[int, object]) -> list[dict[str, object]]:
    rows = rows_of(count)
    for column, at in values.items():
        for row, value in at.items():
            rows[row][column] = value
    return rows


def expect(
    done: subprocess.CompletedProcess[str], code: int, *words: str, folder: Path, left: set[str]
) -> None:
    assert done.returncode == code, done.stderr
    message = done.stderr.strip()
    assert "Traceback" not in message
    assert message.startswith("comity: ")
    for word in words:
        assert word in message, message
    assert done.stdout == ""
    assert {entry.name for entry in folder.iterdir()} == left


def test_a_missing_file(comity: Run, tmp_path: Path) -> None:
    done = comity("compare", "--provider", "north=none.csv", "--target", "ill", "--json", "out.json")
    expect(done, 3, "none.csv", folder=tmp_path, left=set())


def test_no_such_column(comity: Run, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", rows_of(50))
    for option, name in (("--target", "il"), ("--id", "idd")):
        words = ["--target", "ill"] if option == "--id" else []
        done = comity("compare", "--provider", "north=a.csv", *words, option, name)
        expect(done, 3, f"'{name}'", "did you mean", folder=tmp_path, left={"a.csv"})


def test_a_target_with_one_class(comity: Run, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", changed(100, ill=dict.fromkeys(range(100), "no")))
    done = comity("compare", "--provider", "north=a.csv", "--target", "ill")
    expect(done, 3, "ill", "'no'", folder=tmp_path, left={"a.csv"})


def test_forty_percent_malformed_numbers(comity: Run, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", changed(100, age=dict.fromkeys(range(40), "n.a.")))
    done = comity("compare", "--provider", "north=a.csv", "--target", "ill", "--json", "-")
    expect(done, 3, "age", "n.a.", "40", folder=tmp_path, left={"a.csv"})


@pytest.mark.parametrize("value", ["NaN", "inf", "-Infinity"])
def test_literal_nan_and_infinity(value: str, comity: Run, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", changed(100, age={6: value}))
    done = comity("compare", "--provider", "north=a.csv", "--target", "ill")
    expect(done, 3, "age", value, "7", folder=tmp_path, left={"a.csv"})


def test_duplicate_ids(comity: Run, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", changed(100, id={6: "p5"}))
    done = comity("compare", "--provider", "north=a.csv", "--target", "ill", "--id", "id")
    expect(done, 3, "id", "p5", folder=tmp_path, left={"a.csv"})


def test_an_empty_provider(comity: Run, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", rows_of(400))
    (tmp_path / "b.csv").write_text("id,age,job,ill\n", encoding="utf-8")
    (tmp_path / "c.csv").write_text("", encoding="utf-8")
    for name in ("b", "c"):
        done = comity(
            "compare", "--provider", "north=a.csv", "--provider", f"south={name}.csv", "--target", "ill"
        )
        expect(done, 3, f"{name}.csv", folder=tmp_path, left={"a.csv", "b.csv", "c.csv"})


def test_not_utf8(comity: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("id,age,job,ill\n1,40,B\xe4cker,no\n".encode("latin-1"))
    done = comity("compare", "--provider", "north=a.csv", "--target", "ill")
    expect(done, 3, "a.csv", "UTF-8", folder=tmp_path, left={"a.csv"})


def test_different_columns(comity: Run, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", rows_of(50))
    write(tmp_path / "b.csv", [{**row, "town": "x"} for row in rows_of(50)])
    done = comity("compare", "--provider", "n=a.csv", "--provider", "s=b.csv", "--target", "ill")
    expect(done, 3, "town", folder=tmp_path, left={"a.csv", "b.csv"})


def test_fewer_rows_than_seed_rows(comity: Run, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", rows_of(100))
    done = comity("compare", "--provider", "north=a.csv", "--target", "ill")
    expect(done, 3, "--seed-rows", folder=tmp_path, left={"a.csv"})


def test_a_result_that_cannot_be_written_is_said_before_the_work(comity: Run, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", rows_of(400))
    done = comity("compare", "--provider", "north=a.csv", "--target", "ill", "--json", "a.csv/out.json")
    expect(done, 3, "--json", folder=tmp_path, left={"a.csv"})


def test_a_wrong_schema(comity: Run, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", rows_of(50))
    (tmp_path / "s.yaml").write_text("columns: {age: {role: quasi, type: integer}}\n", encoding="utf-8")
    done = comity("compare", "--provider", "n=a.csv", "--target", "ill", "--schema", "s.yaml")
    expect(done, 3, "s.yaml", "role", folder=tmp_path, left={"a.csv", "s.yaml"})


def test_usage_has_exit_code_2(comity: Run) -> None:
    for words in (["compare"], ["nonsense"], ["try", "magic", "--provider", "a=b", "--target", "x"]):
        done = comity(*words)
        assert done.returncode == 2, (words, done.stderr)
        assert "Traceback" not in done.stderr


def test_verify_says_what_is_wrong(comity: Run, tmp_path: Path) -> None:
    from comity.ledger import Ledger

    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.append("note", {"text": "hello"})
    assert comity("ledger", "verify", "ledger.db").returncode == 0
    shown = comity("ledger", "show", "ledger.db", "--json", "-")
    assert any("hello" in line for line in json.loads(shown.stdout)["story"])
    missing = comity("ledger", "verify", "none.db")
    assert missing.returncode == 3
    data = bytearray((tmp_path / "ledger.db").read_bytes())
    place = data.find(b"hello")
    data[place : place + 5] = b"HELLO"
    (tmp_path / "edited.db").write_bytes(bytes(data))
    edited = comity("ledger", "verify", "edited.db")
    assert edited.returncode == 6, edited.stdout + edited.stderr


def test_a_full_disk_is_said_in_one_line_and_nothing_half_written_stays(tmp_path: Path) -> None:
    """Writing past a limit on file size stands for a full disk: the system refuses the write half-way."""
    script = (
        "import resource, signal\n"
        "from pathlib import Path\n"
        "from comity.cli.output import write_text\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_text('x' * 100_000, Path('out.json'))\n"
    )
    (tmp_path / "out.json").write_text("before", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert "no half of it was left behind" in done.stderr
    assert os.listdir(tmp_path) == ["out.json"]
    assert (tmp_path / "out.json").read_text(encoding="utf-8") == "before"
