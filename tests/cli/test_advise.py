"""`comity advise` as people call it: answers from files and tables, at the terminal, and the draft."""

from __future__ import annotations

import csv
import json
import os
import pty
import random
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from comity.agreement import read_agreement
from comity.errors import ComityError

SCHEMA = """\
columns:
  pid: {role: identifier, type: text}
  age: {role: quasi_identifier, type: integer, min: 0, max: 110}
  job: {role: quasi_identifier, type: category, values: [a, b, c]}
  ill: {role: target, type: category, values: ["no", "yes"]}
"""
ANSWERS = """\
sensitive: true
personal: true
sight: nothing
mediator: counts
columns: linked
start: true
proof: false
want: model
"""
AGREEMENT = """\
agreement:
  purpose: {text: Predict illness, legal_basis: public_task}
  data:
    north: {source: admissions, licence: research only}
    south: {source: admissions, licence: research only}
"""
TABLES = ("--provider", "north=north.csv", "--provider", "south=south.csv", "--target", "ill", "--id", "pid")


@dataclass(frozen=True)
class Told:
    """How a command ended."""

    code: int
    out: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Comity = Callable[..., Told]


@pytest.fixture
def comity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Comity:
    """The command line in process, in a folder with two tables, with nobody at the terminal."""
    import click

    from comity.cli.app import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    (tmp_path / "answers.yaml").write_text(ANSWERS, encoding="utf-8")
    for number, name in enumerate(("north", "south")):
        draw = random.Random(number)
        with open(tmp_path / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["pid", "age", "job", "ill"])
            for row in range(400):
                age, job = draw.randint(18, 80), draw.choice("abc")
                ill = draw.random() < 0.1 + 0.7 * (age > 50)
                writer.writerow([f"{name}-{row}", age, job, "yes" if ill else "no"])

    def run(*words: str) -> Told:
        capsys.readouterr()
        try:
            code, error = app(list(words), standalone_mode=False) or 0, ""
        except ComityError as failure:
            code, error = failure.exit_code, str(failure)
        except click.ClickException as failure:
            code, error = failure.exit_code, failure.format_message()
        return Told(code, capsys.readouterr().out, error)

    return run


def test_answers_and_tables_lead_to_an_architecture(comity: Comity) -> None:
    done = comity("advise", *TABLES, "--schema", "schema.yaml", "--answers", "answers.yaml")
    assert done.code == 0, done.error
    assert all(len(line) <= 80 for line in done.out.splitlines())
    for words in (
        "Advised: blind-validation (linked)",
        "blueprint IV-C",
        "Whom it must trust",
        "What each of them sees",
        "Why not",
        "it needs three providers or more",
        "What would change it",
        "not a release",
    ):
        assert words in done.out


def test_json_alone_on_standard_output(comity: Comity) -> None:
    done = comity("advise", *TABLES, "--schema", "schema.yaml", "--answers", "answers.yaml", "--json", "-")
    assert done.json["architecture"] == "blind-validation"
    assert done.json["mode"] == "linked"
    assert done.json["answers"]["providers"] == {
        "answer": "two",
        "how": "measured",
        "evidence": "2 tables given",
        "against": "",
    }
    assert done.json["answers"]["enough"]["how"] == "measured"


def test_a_file_for_the_holders_alone(comity: Comity, tmp_path: Path) -> None:
    assert comity("advise", "--answers", "answers.yaml", "--set", "providers=one", "--set", "enough=true",
                  "--json", "advice.json").code == 0  # fmt: skip
    assert (tmp_path / "advice.json").stat().st_mode & 0o077 == 0


def test_without_a_terminal_what_is_missing_is_named(comity: Comity) -> None:
    done = comity("advise", "--set", "sensitive=yes")
    assert done.code == 2
    assert "these answers are missing: personal, providers" in done.error
    assert "'personal' is needed now" in done.error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "secret=yes"), "nobody asks 'secret'"),
        (("--set", "sight=all"), "is none of nothing, predictions, model"),
        (("--set", "sensitive"), "write PATH=VALUE"),
        (("--set", "agreement=3"), "are a mapping"),
        (("--epsilon", "0"), "--epsilon is a number above 0"),
        (("--epsilon", "inf"), "--epsilon is a number above 0"),
        (("--epsilon", "nan"), "--epsilon is a number above 0"),
        (("--provider", "north.csv"), "--provider takes NAME=PATH"),
        (("--draft", "d.yaml"), "--folder DIR"),
    ],
)
def test_what_cannot_be_taken(words: tuple[str, ...], said: str, comity: Comity) -> None:
    done = comity("advise", *words)
    assert done.code == 2
    assert said in done.error


def test_files_that_cannot_be_read(comity: Comity, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("{", encoding="utf-8")
    assert comity("advise", "--results", "r.json").code == 3
    assert comity("advise", "--results", "none.json").code == 3
    (tmp_path / "r.json").write_text('{"results": []}', encoding="utf-8")
    done = comity("advise", "--results", "r.json", "--set", "sensitive=no", "--set", "personal=no")
    assert done.code == 3
    assert "no results of a comparison" in done.error
    assert comity("advise", "--answers", "none.yaml").code == 3


def test_results_refine_it(comity: Comity, tmp_path: Path) -> None:
    useless = {
        "architecture": "blind-validation",
        "mode": "linked",
        "utility": {"auc": 0.61, "gap_closed": 0.02},
        "privacy": {"epsilon": 1.0, "attacks": {}},
        "cost": {"wall_s": 3.0},
    }
    good = {
        "architecture": "synthetic",
        "mode": None,
        "utility": {"auc": 0.8, "gap_closed": 0.7},
        "privacy": {"epsilon": 1.0, "attacks": {}},
        "cost": {"wall_s": 3.0},
    }
    document = {
        "results": [useless, good],
        "skipped": [],
        "inputs": {"providers": [{"name": "a"}, {"name": "b"}]},
    }
    (tmp_path / "r.json").write_text(json.dumps(document), encoding="utf-8")
    done = comity("advise", "--results", "r.json", "--answers", "answers.yaml", "--set", "suits=no")
    assert done.code == 0, done.error
    assert "Advised: synthetic" in done.out
    assert "speak for blind-validation" in " ".join(done.out.split())


def test_plain_points_at_columns_that_need_a_second_look(comity: Comity, tmp_path: Path) -> None:
    draw = random.Random(5)
    rows = "\n".join(f"{draw.randint(0, 9000)},X{row:05d}-{draw.randint(1, 99)},no" for row in range(60))
    (tmp_path / "m.csv").write_text(f"hours,serial,failed\n{rows}\n1,X9,yes\n", encoding="utf-8")
    done = comity("advise", "--provider", "plant=m.csv", "--set", "sensitive=no", "--set", "personal=no")
    assert done.code == 0, done.error
    said = " ".join(done.out.split())
    assert "Advised: plain" in said
    assert "plain.confirmed: [serial]" in said


@pytest.fixture
def folders(comity: Comity) -> Comity:
    """Folders of all parties; the ML party has the others' cards."""
    for name in ("north", "south", "analyst", "court"):
        comity("party", "init", name, "--folder", name)
        comity("party", "card", "--folder", name, "--json", f"{name}.card")
    for name in ("north", "south", "court"):
        comity("party", "add", f"{name}.card", "--folder", "analyst")
    return comity


DRAFT = ("--schema", "schema.yaml", "--answers", "answers.yaml", "--draft", "d.yaml",
         "--folder", "analyst", "--ml-party", "analyst")  # fmt: skip


def test_the_draft_is_read_shown_and_signed(folders: Comity, tmp_path: Path) -> None:
    (tmp_path / "answers.yaml").write_text(ANSWERS + AGREEMENT, encoding="utf-8")
    done = folders("advise", *TABLES, *DRAFT, "--mediator", "court")
    assert done.code == 0, done.error
    agreement = read_agreement(tmp_path / "d.yaml")
    assert agreement.architectures.names == ("blind-validation",)
    assert {party.name: str(party.role) for party in agreement.parties} == {
        "north": "provider",
        "south": "provider",
        "analyst": "ml_party",
        "court": "mediator",
    }
    assert agreement.signatures == ()
    frame = agreement.clause("blind-validation").to_dict()["frame"]
    assert frame["rows"] == 800
    assert agreement.data_of("north").columns["age"].max == 110
    assert folders("agree", "show", "d.yaml").code == 0
    assert folders("agree", "sign", "d.yaml", "--folder", "analyst", "--yes").code == 0
    again = folders("advise", *TABLES, *DRAFT, "--mediator", "court")
    assert (again.code, "exists" in again.error) == (3, True)


def test_a_draft_says_what_it_still_needs(folders: Comity, tmp_path: Path) -> None:
    done = folders("advise", *TABLES, *DRAFT, "--mediator", "court")
    assert done.code == 2
    assert "purpose.legal_basis" in done.error
    assert "agreement.purpose.legal_basis=public_task" in done.error
    (tmp_path / "answers.yaml").write_text(ANSWERS + AGREEMENT, encoding="utf-8")
    assert "--mediator" in folders("advise", *TABLES, *DRAFT).error
    done = folders("advise", *TABLES, *DRAFT[2:], "--mediator", "court")
    assert (done.code, "public bounds" in done.error) == (2, True)
    done = folders("advise", *TABLES, *DRAFT, "--mediator", "stranger")
    assert (done.code, "no card of 'stranger'" in done.error) == (3, True)
    assert not (tmp_path / "d.yaml").exists()


WANTS = {
    "homomorphic": ("want=scores", "columns=provider", "start=yes", "sight=predictions"),
    "validation": ("want=model", "columns=linked", "start=yes", "sight=predictions", "proof=no"),
    "synthetic": ("want=rows", "columns=provider"),
    "clean-room": ("want=program", "columns=provider", "sight=model"),
}


def test_a_draft_with_one_provider_is_about_people_unless_they_say_no(
    folders: Comity, tmp_path: Path
) -> None:
    """With one provider nobody asks whether rows are about people."""
    alone = AGREEMENT.replace("    south: {source: admissions, licence: research only}\n", "")
    (tmp_path / "answers.yaml").write_text("sensitive: true\n" + alone, encoding="utf-8")
    north = ("--provider", "north=north.csv", "--target", "ill", "--id", "pid")
    for architecture, wanted in WANTS.items():
        answers = [
            word
            for each in (*wanted, "mediator=none", "enough=yes", "proof=no", "compute=no")
            for word in ("--set", each)
        ]
        (tmp_path / "d.yaml").unlink(missing_ok=True)
        done = folders("advise", *north, *DRAFT, *answers)
        assert done.code == 0, done.error
        agreement = read_agreement(tmp_path / "d.yaml")
        assert agreement.architectures.names == (architecture,)
        assert agreement.purpose.legal_basis == "public_task"


def compared(epsilon: float) -> str:
    """The results of a comparison whose best run was at this epsilon."""
    found = {
        "architecture": "synthetic",
        "mode": None,
        "utility": {"auc": 0.8, "gap_closed": 0.7},
        "privacy": {"epsilon": epsilon, "attacks": {}},
        "cost": {"wall_s": 3.0},
    }
    return json.dumps({"results": [found], "skipped": [], "inputs": {"providers": [{"name": "a"}] * 2}})


ROWS = ("--set", "want=rows", "--set", "mediator=none")


def test_each_epsilon_that_was_measured_is_shown(comity: Comity, tmp_path: Path) -> None:
    document = json.loads(compared(50.0))
    document["results"][0]["privacy"]["attacks"] = {"canary": {"advantage": 0.83}}
    document["results"] += json.loads(compared(1.0))["results"]
    document["results"][1]["utility"] = {"auc": 0.608, "gap_closed": -1.64}
    (tmp_path / "r.json").write_text(json.dumps(document), encoding="utf-8")
    done = comity("advise", "--answers", "answers.yaml", *ROWS, "--results", "r.json")
    assert done.code == 0, done.error
    said = " ".join(done.out.split())
    assert "At epsilon 1: AUC 0.608, -164% of the gap closed, worse than alone." in said
    assert "At epsilon 50: AUC 0.800, 70% of the gap closed." in said
    assert "epsilon 50 protects little" in said
    assert "was right 91.5 of 100 times" in said


def test_nothing_fits(comity: Comity) -> None:
    answers = ("--set", "columns=spread", "--set", "proof=yes", "--set", "providers=two")
    done = comity("advise", "--answers", "answers.yaml", *answers)
    assert done.code == 0, done.error
    said = " ".join(done.out.split())
    assert "Advised: nothing that comity has fits" in said
    assert "One of the two has to change" in said
    assert "This comity does not have it" not in said


def test_a_draft_asks_for_the_epsilon_that_was_given(folders: Comity, tmp_path: Path) -> None:
    """Not for one that a comparison found on the tables, which is told to their holders."""
    (tmp_path / "answers.yaml").write_text(ANSWERS.replace("want: model\n", "") + AGREEMENT, encoding="utf-8")
    (tmp_path / "r.json").write_text(compared(3.0), encoding="utf-8")
    done = folders("advise", *TABLES, *DRAFT, *ROWS, "--results", "r.json", "--epsilon", "0.1")
    assert done.code == 0, done.error
    agreement = read_agreement(tmp_path / "d.yaml")
    assert agreement.clause("synthetic").to_dict()["epsilon"] == 0.1
    budgets = [agreement.data_of(name).budget for name in ("north", "south")]
    assert [budget and budget.epsilon for budget in budgets] == [0.1, 0.1]
    assert "asks for epsilon 0.1 (--epsilon)" in " ".join(done.out.split())


def test_a_further_column_at_one_provider_splits_no_records(folders: Comity, tmp_path: Path) -> None:
    """Whether records are split by columns is what was answered, not whether tables differ."""
    (tmp_path / "answers.yaml").write_text(ANSWERS + AGREEMENT, encoding="utf-8")
    lines = (tmp_path / "north.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "north.csv").write_text(
        "\n".join([f"{lines[0]},note", *(f"{line},x" for line in lines[1:])]), encoding="utf-8"
    )
    answers = ("--set", "columns=provider", "--set", "mediator=none", "--set", "compute=yes",
               "--set", "enough=yes")  # fmt: skip
    done = folders("advise", *TABLES, *DRAFT, *answers)
    assert done.code == 0, done.error
    clause = read_agreement(tmp_path / "d.yaml").clause("encrypted").to_dict()
    assert not clause.get("membership_to")


def test_columns_that_are_said_to_be_spread_and_are_not(folders: Comity, tmp_path: Path) -> None:
    (tmp_path / "answers.yaml").write_text(ANSWERS + AGREEMENT, encoding="utf-8")
    done = folders("advise", *TABLES, *DRAFT, "--set", "columns=spread")
    assert (done.code, "have the same columns" in done.error) == (2, True)


def test_a_frame_needs_an_id_of_its_own_for_each_record(folders: Comity, tmp_path: Path) -> None:
    (tmp_path / "answers.yaml").write_text(ANSWERS + AGREEMENT, encoding="utf-8")
    north = (tmp_path / "north.csv").read_text(encoding="utf-8")
    for id_, said in (
        ("", "1 of 400 records of 'north' have no pid"),
        ("north-7", "1 of 400 records of 'north' have the pid of another one there"),
        ("south-9", "records of several providers have the same id"),
    ):
        changed = north.replace("north-3,", f"{id_},")
        (tmp_path / "north.csv").write_text(changed, encoding="utf-8")
        done = folders("advise", *TABLES, *DRAFT, "--mediator", "court")
        assert (done.code, said in done.error) == (3, True), done.error
        assert not (tmp_path / "d.yaml").exists()


def at_terminal(arguments: list[str], lines: list[str], folder: Path) -> tuple[str, int]:
    """Run the command with somebody at the terminal who answers each question that ends a line."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ |= {"COLUMNS": "80", "TERM": "dumb"}
        command = [sys.executable, "-c", "from comity.cli import main; main()", *arguments]
        os.execv(sys.executable, command)
    shown, answered, answers = "", 0, list(lines)
    begun = time.monotonic()
    while time.monotonic() - begun < 120:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            more = os.read(terminal, 65_536)
        except OSError:
            break
        if not more:
            break
        shown += more.decode(errors="replace")
        if shown[answered:].rstrip(" ").endswith(":") and "Which" in shown[answered:] and answers:
            answered = len(shown)
            os.write(terminal, answers.pop(0).encode() + b"\n")
    else:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return shown, os.waitstatus_to_exitcode(status)


def test_a_steward_at_the_terminal(tmp_path: Path) -> None:
    answers = ["maybe", "no", "yes", "yes", "provider", "no"]
    shown, code = at_terminal(["advise"], answers, tmp_path)
    assert code == 0, shown
    assert "is none of yes, no" in shown
    assert "(for a provider's steward)" in shown
    assert "Advised: direct-release" in shown
