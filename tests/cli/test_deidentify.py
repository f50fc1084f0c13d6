"""`comity deidentify`: what a steward gets, and what bad input gets."""

from __future__ import annotations

import csv
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

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
        (["--schema", "schema.yaml", "--out", "b.csv", "--k", "700"], 3, "only 600 rows"),
        (["--schema", "schema.yaml", "--out", "b.csv", "--l", "3"], 3, "only 2 values"),
        (["--schema", "schema.yaml", "--out", "b.csv", "--target", "il"], 2, "did you mean ill"),
        (
            ["--schema", "schema.yaml", "--out", "b.csv", "--k", "500", "--levels", "age=0"],
            3,
            "--suppression",
        ),
        (["--schema", "schema.yaml", "--out", "b.csv", "--levels", "age=44"], 2, "--levels of"),
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


OPEN_SCHEMA = """\
columns:
  nir: {role: identifier, type: text}
  firm: {role: identifier, type: text}
  born: {role: quasi_identifier, type: text}
  sex: {role: quasi_identifier, type: category, values: [F, M]}
  ill: {role: sensitive, type: category, values: [flu, none]}
"""


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A French register: national numbers of which some hold a letter, dates of birth, employers."""
    draw = random.Random(1)
    with open(tmp_path / "people.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["nir", "firm", "born", "sex", "ill"])
        for row in range(400):
            place = "2A" if row % 9 == 0 else "75"
            born = f"{draw.randint(1970, 1975)}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"
            writer.writerow(
                [f"1{draw.randint(10, 99)}01{place}{row:06}{draw.randint(10, 97)}", f"BE{row % 4}", born,
                 draw.choice("FM"), draw.choice(["flu", "none"])]
            )  # fmt: skip
    (tmp_path / "people.yaml").write_text(OPEN_SCHEMA, encoding="utf-8")
    (tmp_path / "register.csv").write_text(
        "number,sector\nBE0,care\nBE1,care\nBE2,steel\nBE3,steel\n", encoding="utf-8"
    )
    return tmp_path


def test_a_column_that_is_half_numbers_is_assessed_as_text(comity: Run, people: Path) -> None:
    done = comity("assess", "people.csv", "--write-schema", "proposed.yaml")
    assert done.returncode == 0, done.stderr
    assert "most values of 'nir' are numbers and some are not" in done.stderr
    written = (people / "proposed.yaml").read_text(encoding="utf-8")
    assert "  nir:\n    role: identifier\n    type: text\n" in written
    odd = OPEN_SCHEMA.replace("nir: {role: identifier, type: text}", "nir: {role: identifier, type: integer}")
    (people / "odd.yaml").write_text(odd, encoding="utf-8")
    done = comity("assess", "people.csv", "--schema", "odd.yaml")
    assert done.returncode == 3
    assert "nir" in done.stderr


def test_what_to_do_without_hierarchies_and_the_way_on(comity: Run, people: Path) -> None:
    base = ("deidentify", "people.csv", "--schema", "people.yaml")
    done = comity(*base, "--out", "b.csv")
    assert done.returncode == 3
    for words in ("born", "--suggest", "--hierarchies", "min, max"):
        assert words in done.stderr
    done = comity(*base, "--suggest", "trees")
    assert done.returncode == 0, done.stderr
    assert "read off the data" in done.stdout
    assert {path.name for path in (people / "trees").iterdir()} == {"born.csv", "born.reading.json"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in (people / "trees").iterdir())
    enriched = (*base, "--hierarchies", "trees", "--out", "b.csv", "--enrich")
    done = comity(*enriched, "firm=register.csv:number:sector")
    assert done.returncode == 3
    assert "--public-reference" in done.stderr
    done = comity(*enriched, "firm=register.csv:sector")
    assert done.returncode == 2
    assert "firm=register.csv:KEY:sector" in done.stderr
    again = comity(*base, "--suggest", "trees")
    assert again.returncode == 3
    assert "there already" in again.stderr
    done = comity(
        *base, "--hierarchies", "trees", "--out", "b.csv", "--enrich", "firm=register.csv:number:sector",
        "--public-reference", "--require", "l=2:ill", "--require", "average-risk=0.2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "400 of 400 identifiers were found" in done.stdout
    manifest = json.loads((people / "b.manifest.json").read_text(encoding="utf-8"))
    assert set(manifest["quasi_identifiers"]) == {"born", "sex", "sector"}
    assert len(manifest["settings"]["models"]) == 3
    assert "BE0" not in (people / "b.csv").read_text(encoding="utf-8")


def test_private_and_opaque_releases(comity: Run, people: Path) -> None:
    assert comity("deidentify", "people.csv", "--schema", "people.yaml", "--suggest", "trees").returncode == 0
    narrow = OPEN_SCHEMA.replace("  firm: {role: identifier, type: text}\n", "")
    (people / "narrow.yaml").write_text(narrow.partition("  ill:")[0], encoding="utf-8")
    base = ("deidentify", "people.csv", "--schema", "narrow.yaml", "--hierarchies", "trees", "--out", "b.csv")
    first, _, _ = (people / "trees" / "born.csv").read_text(encoding="utf-8").partition("\n")
    top = first.count(";")
    done = comity(*base, "--safepub", "1,1e-3", "--levels", f"born={top},sex=0")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((people / "b.manifest.json").read_text(encoding="utf-8"))
    assert manifest["differential_privacy"]["epsilon"] == 1.0
    assert manifest["rows"] == {}
    assert "Do not draw again" in done.stdout
    done = comity(*base, "--safepub", "1,1e-3", "--levels", "born=1-2")
    assert done.returncode == 2
    assert "Open: born, sex" in done.stderr
    done = comity(*base, "--opaque", "--opaque-key", "key.json")
    assert done.returncode == 0, done.stderr
    assert (people / "key.json").stat().st_mode & 0o077 == 0
    hidden = (people / "b.manifest.json").read_text(encoding="utf-8")
    assert not re.search(r"\b1970\b", hidden)
    assert "letters" not in hidden
    assert "1970" in (people / "key.json").read_text(encoding="utf-8")
    again = comity(*base, "--opaque", "--opaque-key", "key.json")
    assert again.returncode == 3
    assert "not written over" in again.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--require", "l=2"], "l=3:COLUMN"),
        (["--safepub", "1"], "EPSILON,DELTA"),
        (["--levels", "age"], "age=2"),
        (["--levels", "age=x"], "age=0-2"),
        (["--opaque"], "--opaque-key"),
        (["--enrich", "id=register.csv"], "COLUMN=FILE"),
        (["--enrich", "age=register.csv:size"], "no identifier"),
        (["--suggest", "trees"], "nothing to suggest"),
    ],
)
def test_options_that_cannot_be_read_are_refused(
    words: list[str], said: str, comity: Run, folder: Path
) -> None:
    done = comity("deidentify", "a.csv", "--schema", "schema.yaml", "--out", "b.csv", *words)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert not (folder / "b.csv").exists()


def test_help_keeps_the_words_of_an_option(comity: Run, tmp_path: Path) -> None:
    done = comity("deidentify", "--help")
    assert "FILE:KEY_COLUMN:A,B" in "".join(done.stdout.replace("│", "").split())
    assert not any(ord(char) > 0x1F000 for char in done.stdout)
