"""`comity deidentify`: what a steward gets, and what bad input gets."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

SCHEMA = """\
columns:
  id: {role: identifier, type: text}
  age: {role: quasi_identifier, type: integer, min: 0, max: 99}
  job: {role: quasi_identifier, type: category, values: [baker, clerk, smith], hierarchy: job.csv}
  ill: {role: target, type: category, values: ["no", "yes"]}
"""


@pytest.fixture
def comity(tmp_path: Path) -> Run:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from comity.cli import main; main()", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw = random.Random(0)
    with open(tmp_path / "a.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "age", "job", "ill"])
        for row in range(600):
            age = draw.randint(18, 80)
            job = draw.choice(["baker", "clerk", "smith"])
            writer.writerow(
                [f"person {row}", age, job, "yes" if draw.random() < (0.9 if age > 50 else 0.1) else "no"]
            )
    (tmp_path / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    (tmp_path / "job.csv").write_text("baker;hands;*\nclerk;desk;*\nsmith;hands;*\n", encoding="utf-8")
    return tmp_path


def test_a_steward_gets_release_manifest_and_report(comity: Run, folder: Path) -> None:
    done = comity("deidentify", "a.csv", "--schema", "schema.yaml", "--out", "out/b.csv", "--k", "10")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (folder / "out").iterdir()} == {
        "b.csv", "b.manifest.json", "b.report.json",
    }  # fmt: skip
    for words in ("Nothing has left this machine", "Risk that is left", "AUC", "does not protect", "gate"):
        assert words in done.stdout
    with open(folder / "out" / "b.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        counts[row["age"], row["job"]] = counts.get((row["age"], row["job"]), 0) + 1
    assert min(counts.values()) >= 10
    assert "person" not in (folder / "out" / "b.csv").read_text(encoding="utf-8")
    manifest = json.loads((folder / "out" / "b.manifest.json").read_text(encoding="utf-8"))
    report = json.loads((folder / "out" / "b.report.json").read_text(encoding="utf-8"))
    assert manifest["rows"] == {"released": len(rows)}
    assert report["rows"]["suppressed"] == 600 - len(rows)
    assert set(manifest["risk"]) == {"after"}
    assert set(report["risk"]) == {"before", "after"}
    assert not {"utility", "loss", "warning", "choice"} & set(manifest)
    assert manifest["quasi_identifiers"]["job"]["hierarchy"]["rows"][0] == ["baker", "hands", "*"]
    assert (folder / "out" / "b.report.json").stat().st_mode & 0o077 == 0


def test_json_alone_on_standard_output(comity: Run, folder: Path) -> None:
    done = comity(
        "deidentify", "a.csv", "--schema", "schema.yaml", "--out", "b.parquet", "--json", "-",
        "--method", "local", "--weights", "age=2,job=1", "--objective", "target", "--hierarchies", ".",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["manifest"]["settings"]["objective"] == "target"
    assert document["manifest"]["settings"]["weights"] == {"age": 2.0, "job": 1.0}
    assert "target-choice" in document["manifest"]["unprotected"]
    assert document["report"]["choice"]["target"] == "ill"


def test_an_anonymisation_that_leaves_nothing_to_learn_is_said(comity: Run, folder: Path) -> None:
    done = comity("deidentify", "a.csv", "--schema", "schema.yaml", "--out", "b.csv", "--k", "400")
    assert done.returncode == 0, done.stderr
    assert "Warning" in done.stdout
    assert "can be learned" in done.stdout
    report = json.loads((folder / "b.report.json").read_text(encoding="utf-8"))
    assert report["warning"]["relaxations"]
    assert "k-anonymity, k = " in report["warning"]["text"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--out", "b.csv"], 2, "--write-schema"),
        (["--schema", "schema.yaml", "--out", "b.txt"], 2, ".parquet"),
        (["--schema", "schema.yaml", "--out", "a.csv"], 2, "same file"),
        (["--schema", "schema.yaml", "--out", "b.csv", "--weights", "age"], 2, "age=2"),
        (["--schema", "schema.yaml", "--out", "b.csv", "--weights", "wage=2"], 2, "wage"),
        (["--schema", "schema.yaml", "--out", "b.csv", "--method", "best"], 2, "global"),
        (["--schema", "schema.yaml", "--out", "b.csv", "--k", "700"], 3, "no combination of levels"),
        (["--schema", "schema.yaml", "--out", "b.csv", "--objective", "good"], 2, "target"),
        (["--schema", "schema.yaml", "--out", "b.csv", "--hierarchies", "none"], 3, "no folder"),
        (["--schema", "none.yaml", "--out", "b.csv"], 3, "none.yaml"),
        (["--schema", "schema.yaml", "--out", "a.csv/b.csv"], 3, "--out"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(
    words: list[str], code: int, said: str, comity: Run, folder: Path
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = comity("deidentify", "a.csv", *words)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("comity: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
