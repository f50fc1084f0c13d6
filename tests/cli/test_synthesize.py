"""`comity synthesize`: a table in, a synthetic one out, and what it was made from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from comity.cli.synthesize import synthesize
from comity.data import read_table
from comity.errors import BadInput, UsageError

SCHEMA = """
columns:
  pid: {role: identifier, type: text}
  age: {role: quasi_identifier, type: integer, min: 0, max: 100}
  job: {role: quasi_identifier, type: category}
  ill: {role: target, type: category, values: ["no", "yes"]}
"""


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.command("synthesize")(synthesize)
    return made


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [f"p{at},{20 + at % 60},{'ab'[at % 2]},{'yes' if at % 3 else 'no'}" for at in range(300)]
    path = tmp_path / "people.csv"
    path.write_text("\n".join(["pid,age,job,ill", *rows]) + "\n", encoding="utf-8")
    (tmp_path / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    return path


def test_a_synthetic_table_is_written_with_its_manifest(
    app: typer.Typer, table: Path, tmp_path: Path
) -> None:
    out, manifest = tmp_path / "made.csv", tmp_path / "made.json"
    done = CliRunner().invoke(
        app,
        [str(table), "--epsilon", "2", "--schema", str(tmp_path / "schema.yaml"), "--out", str(out),
         "--rows", "40", "--method", "mst", "--json", str(manifest)],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    made = read_table(out)
    assert made.names == ("age", "job", "ill")
    assert made.rows == 40
    said = json.loads(manifest.read_text(encoding="utf-8"))
    assert (said["epsilon"], said["rows"]) == (2.0, 40)
    assert "noise +-" in done.output
    assert "measured, out of the budget, for: job" in done.output
    assert "read off the values" not in done.output


def test_without_a_schema_it_says_what_is_not_covered(app: typer.Typer, table: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app,
        [str(table), "--epsilon", "2", "--delta", "1e-9", "--out", str(tmp_path / "made.parquet"),
         "--method", "mst"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "read off the values, which the guarantee does not cover" in done.output
    # each of 300 ids passes the threshold with a probability of 1e-9 / 10 / 3, together 1e-8
    assert "come through the noise: pid. Leave them out" in done.output


def test_json_goes_alone_to_standard_output(app: typer.Typer, table: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app,
        [str(table), "--epsilon", "2", "--out", str(tmp_path / "made.csv"), "--method", "mst", "--json", "-"],
    )
    assert json.loads(done.stdout)["method"] == "mst"


def test_nothing_is_written_over_and_nothing_half(app: typer.Typer, table: Path, tmp_path: Path) -> None:
    same = CliRunner().invoke(app, [str(table), "--epsilon", "2", "--out", str(table)])
    assert isinstance(same.exception, UsageError)
    out = tmp_path / "made.csv"
    for options, error in (
        (["--method", "gan"], UsageError),
        (["--delta", "1.1"], UsageError),
        (["--rows", "1000000000000"], UsageError),
        (["--schema", str(tmp_path / "no.yaml")], BadInput),
    ):
        done = CliRunner().invoke(app, [str(table), "--epsilon", "2", "--out", str(out), *options])
        assert isinstance(done.exception, error)
    assert not out.exists()
