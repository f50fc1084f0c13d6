"""`comity assess` as a person calls it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def comity(tmp_path: Path) -> Run:
    """Runs the command in a folder with a table."""
    draw = random.Random(0)
    jobs, answers = ["baker", "clerk"], ["no", "yes"]
    rows = [
        f"p{row}@example.org,{draw.randint(18, 80)},{draw.choice(jobs)},{draw.choice(answers)}"
        for row in range(300)
    ]
    (tmp_path / "t.csv").write_text("mail,age,job,ill\n" + "\n".join(rows) + "\n")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from comity.cli import main; main()", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)

    return run


def test_the_terminal_at_80_columns(comity: Run) -> None:
    done = comity("assess", "t.csv", "--target", "ill", "--population", "1000000")
    assert done.returncode == 0, done.stderr
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert "What to do next" in done.stdout
    assert "1,000,000 people" in done.stdout


def test_json_alone_on_standard_output(comity: Run) -> None:
    done = comity("assess", "t.csv", "--quasi-identifiers", "age, job", "--population", "5000", "--json", "-")
    body = json.loads(done.stdout)
    assert body["quasi_identifiers"] == ["age", "job"]
    assert set(body["risk"]["population_uniques"]) == {"pitman", "zayatz", "snb", "dankar"}
    assert [element["letter"] for element in body["safe_harbor"]] == list("ABCDEFGHIJKLMNOPQR")


def test_the_written_schema_is_read_again(comity: Run, tmp_path: Path) -> None:
    done = comity(
        "assess", "t.csv", "--target", "ill", "--write-schema", "out/schema.yaml", "--json", "a.json"
    )
    assert done.returncode == 0, done.stderr
    done = comity("assess", "t.csv", "--schema", "out/schema.yaml", "--json", "b.json")
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    assert [each["role"] for each in first["columns"]] == [each["role"] for each in second["columns"]]
    assert first["risk"]["sample_uniques"] == second["risk"]["sample_uniques"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--target", "agee"), 3, "did you mean age?"),
        (("--quasi-identifiers", "age,jobs"), 3, "no column 'jobs'"),
        (("--quasi-identifiers", " , "), 2, "names no column"),
        (("--population", "10"), 2, "fewer than the table's 300 rows"),
        (("--threshold", "2"), 2, "threshold"),
        (("--write-schema", "."), 3, "is a folder"),
    ],
)
def test_wrong_calls_say_what_to_do(comity: Run, words: tuple[str, ...], code: int, says: str) -> None:
    done = comity("assess", "t.csv", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_how_decimal_commas_were_read_is_told(comity: Run, tmp_path: Path) -> None:
    rows = [f"{row % 60},{row % 10};{row % 9},{row % 8};{'x' if row == 7 else row}" for row in range(100)]
    (tmp_path / "c.csv").write_text("weight;dose;count\n" + "\n".join(rows) + "\n", encoding="utf-8")
    done = comity("assess", "c.csv", "--json", "c.json")
    assert done.returncode == 0, done.stderr
    assert "note: column weight of c.csv has decimal commas: 3,5 is read as 3.5" in done.stderr
    assert "most values of 'count' are numbers and some are not, so it is shown as text" in done.stderr
    types = {each["name"]: each["type"] for each in json.loads((tmp_path / "c.json").read_text())["columns"]}
    assert types["weight"] == types["dose"] == "number"
    assert types["count"] not in ("number", "integer")
