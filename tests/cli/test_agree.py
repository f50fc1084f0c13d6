"""`comity party` and `comity agree`: three organisations make keys, draft, sign, amend, withdraw."""

from __future__ import annotations

import json
import os
import pty
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
  patient: {role: identifier, type: text}
  age: {role: quasi_identifier, type: integer, min: 0, max: 110}
  ill: {role: target, type: category, values: ["no", "yes"]}
unit: {column: patient, max_rows: 1}
"""
ANSWERS = """\
title: Illness pilot
purpose: {text: Predict illness from age, legal_basis: public_task}
parties: {north: provider, south: provider, analyst: ml_party}
data:
  north: {schema: schema.yaml, source: admissions 2025, licence: research only}
  south: {schema: schema.yaml, source: admissions 2024, licence: research only, seed_rows: 50}
architectures:
  direct-release:
  validation: {epsilon: 0.5}
"""
PARTIES = ("north", "south", "analyst")


@dataclass(frozen=True)
class Told:
    """How a command ended: exit code, standard output, and the error's words."""

    code: int
    out: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Comity = Callable[..., Told]


@pytest.fixture
def comity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Comity:
    """The command line in process, in a folder of its own, with nobody at the terminal."""
    import click

    from comity.cli.app import app

    monkeypatch.chdir(tmp_path)
    for name in ("COMITY_PASSPHRASE", "COMITY_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    (tmp_path / "answers.yaml").write_text(ANSWERS, encoding="utf-8")

    def run(*words: str) -> Told:
        capsys.readouterr()
        try:
            code, error = app(list(words), standalone_mode=False) or 0, ""
        except ComityError as caught:
            code, error = caught.exit_code, str(caught)
        except click.ClickException as caught:
            code, error = caught.exit_code, caught.format_message()
        return Told(code, capsys.readouterr().out, error)

    return run


@pytest.fixture
def met(comity: Comity) -> Comity:
    """Three parties that have each other's cards."""
    for number, name in enumerate(PARTIES):
        assert (
            comity(
                "party", "init", name, "--folder", name, "--url", f"https://127.0.0.1:{9101 + number}"
            ).code
            == 0
        )
        assert comity("party", "card", "--folder", name, "--json", f"{name}.json").code == 0
    for one in PARTIES:
        for other in PARTIES:
            if one != other:
                assert comity("party", "add", f"{other}.json", "--folder", one).code == 0
    return comity


@pytest.fixture
def drafted(met: Comity) -> Comity:
    done = met("agree", "draft", "--folder", "analyst", "--answers", "answers.yaml", "--out", "a.yaml")
    assert done.code == 0, done.error
    return met


@pytest.fixture
def agreed(drafted: Comity) -> Comity:
    for name in PARTIES:
        assert drafted("agree", "sign", "a.yaml", "--folder", name, "--yes").code == 0
    for name in PARTIES:
        assert drafted("agree", "merge", "a.yaml", "--folder", name).code == 0
    return drafted


def test_a_party_and_its_card(comity: Comity) -> None:
    made = comity(
        "party", "init", "north", "--folder", "n", "--url", "https://north.example:8443", "--json", "-"
    )
    assert made.json["passphrase"] is False
    card = comity("party", "card", "--folder", "n")
    assert set(card.json) == {"name", "url", "key", "certificate", "signature"}
    assert "PRIVATE" not in card.out
    again = comity("party", "init", "north", "--folder", "n")
    assert (again.code, "made once" in again.error) == (3, True)
    assert comity("party", "init", "North", "--folder", "m").code == 3
    assert comity("party", "init", "m", "--folder", "m", "--url", "ftp://m").code == 3
    assert comity("party", "card", "--folder", "n", "--url", "https://a:1").code == 2
    renewed = comity("party", "card", "--folder", "n", "--renew", "--url", "https://a.example:1")
    assert renewed.json["url"] == "https://a.example:1"
    assert renewed.json["key"] == made.json["key"]
    assert comity("party", "list", "--folder", "n", "--json", "-").json["peers"] == []


def test_cards_are_verified_and_compared(comity: Comity, tmp_path: Path) -> None:
    for name in ("north", "south"):
        comity("party", "init", name, "--folder", name)
        comity("party", "card", "--folder", name, "--json", f"{name}.json")
    keys = {name: json.loads((tmp_path / f"{name}.json").read_text())["key"] for name in ("north", "south")}
    wrong = comity("party", "add", "south.json", "--folder", "north", "--key", keys["north"])
    assert (wrong.code, "nothing was kept" in wrong.error) == (6, True)
    added = comity("party", "add", "south.json", "--folder", "north", "--key", keys["south"])
    assert (added.code, keys["south"] in added.out) == (0, True)
    listed = comity("party", "list", "--folder", "north", "--json", "-").json
    assert [card["name"] for card in listed["peers"]] == ["south"]
    assert listed["key"] == keys["north"]
    (tmp_path / "south.json").write_text((tmp_path / "south.json").read_text().replace("8443", "8444"))
    assert comity("party", "add", "south.json", "--folder", "north").code == 6
    assert comity("party", "add", "none.json", "--folder", "north").code == 3
    assert comity("party", "list", "--folder", "nowhere").code == 3


def test_passphrases_without_a_terminal(
    comity: Comity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "words").write_text("correct horse\n", encoding="utf-8")
    (tmp_path / "other").write_text("wrong horse", encoding="utf-8")
    (tmp_path / "lines").write_text("two\nlines\n", encoding="utf-8")
    assert comity("party", "init", "n", "--folder", "n", "--passphrase-file", "lines").code == 3
    made = comity("party", "init", "n", "--folder", "n", "--passphrase-file", "words", "--json", "-")
    assert made.json["passphrase"] is True
    missing = comity("party", "card", "--folder", "n")
    assert (missing.code, "COMITY_PASSPHRASE_FILE" in missing.error) == (3, True)
    assert comity("party", "list", "--folder", "n").code == 0
    assert comity("party", "card", "--folder", "n", "--passphrase-file", "other").code == 3
    assert comity("party", "card", "--folder", "n", "--passphrase-file", "none").code == 3
    monkeypatch.setenv("COMITY_PASSPHRASE_FILE", "words")
    assert comity("party", "card", "--folder", "n").code == 0
    monkeypatch.delenv("COMITY_PASSPHRASE_FILE")
    monkeypatch.setenv("COMITY_PASSPHRASE", "correct horse")
    assert comity("party", "card", "--folder", "n").code == 0
    monkeypatch.setenv("COMITY_PASSPHRASE", "wrong horse")
    assert "is wrong" in comity("party", "card", "--folder", "n").error


def test_a_draft_from_answers_and_options(drafted: Comity, tmp_path: Path) -> None:
    agreement = read_agreement(tmp_path / "a.yaml")
    assert {party.name: str(party.role) for party in agreement.parties} == {
        "north": "provider", "south": "provider", "analyst": "ml_party",
    }  # fmt: skip
    assert agreement.architectures.names == ("direct-release", "validation")
    assert agreement.data_of("south").seed_rows == 50
    assert agreement.data_of("north").unit.column == "patient"
    budget = agreement.data_of("north").budget
    assert budget is not None
    assert budget.epsilon == 0.5
    assert not agreement.signatures
    options = drafted(
        "agree", "draft", "--folder", "north", "--out", "b.yaml", "--title", "Illness pilot",
        "--purpose", "Predict illness from age", "--legal-basis", "public_task",
        "--provider", "north", "--provider", "south", "--ml-party", "analyst",
        "--schema", "north=schema.yaml", "--schema", "south=schema.yaml",
        "--set", "data.north.source=admissions 2025", "--set", "data.north.licence=research only",
        "--set", "data.south.source=admissions 2024", "--set", "data.south.licence=research only",
        "--set", "data.south.seed_rows=50", "--allow", "direct-release", "--allow", "validation",
        "--set", "architectures.validation.epsilon=0.5", "--json", "-",
    )  # fmt: skip
    assert options.code == 0, options.error
    assert sorted(options.json["missing"]) == sorted(PARTIES)
    other = read_agreement(tmp_path / "b.yaml").to_dict()
    mine = agreement.to_dict()
    assert sorted(map(str, other.pop("parties"))) == sorted(map(str, mine.pop("parties")))
    assert other == mine


def test_what_a_draft_lacks_is_listed_at_once(met: Comity, tmp_path: Path) -> None:
    bare = met("agree", "draft", "--folder", "north", "--out", "b.yaml")
    assert bare.code == 2
    for place in ("title", "purpose.text", "purpose.legal_basis", "parties.south", "--answers"):
        assert place in bare.error
    stray = met(
        "agree", "draft", "--folder", "north", "--out", "b.yaml", "--answers", "answers.yaml",
        "--set", "data.north.licens=x", "--set", "data.nroth.licence=x",
    )  # fmt: skip
    assert (stray.code, "data.north.licens" in stray.error, "data.nroth" in stray.error) == (2, True, True)
    cases = [
        ("parties.east=provider", 3, "no card of 'east'"),
        ("architectures.teleport.k=1", 2, "no architecture 'teleport'"),
        ("data.north.seed_rows=many", 2, "data.north.seed_rows"),
        ("purpose.legal_basis=because", 2, "none of consent"),
        ("purpose.legal_basis=consent", 2, "data.north.consent"),
        ("architectures.direct-release.k=1", 2, "at least 2"),
        ("architectures.direct-release.kk=1", 3, "unknown key"),
        ("data.north.schema=none.yaml", 3, "none.yaml"),
        ("expires=soon", 2, "YYYY-MM-DD"),
        ("title", 2, "PATH=VALUE"),
    ]
    for option, code, words in cases:
        done = met(
            "agree",
            "draft",
            "--folder",
            "north",
            "--out",
            "b.yaml",
            "--answers",
            "answers.yaml",
            "--set",
            option,
        )
        assert (done.code, words in done.error) == (code, True), (option, done.error)
    assert not (tmp_path / "b.yaml").exists()


def test_a_frame_is_read_from_its_ids(met: Comity, tmp_path: Path) -> None:
    from comity.crypto.canonical import digest

    met("party", "init", "middle", "--folder", "middle")
    met("party", "card", "--folder", "middle", "--json", "middle.json")
    met("party", "add", "middle.json", "--folder", "north")
    (tmp_path / "ids.csv").write_text("id\np-3\np-1\np-2\n", encoding="utf-8")
    done = met(
        "agree", "draft", "--folder", "north", "--out", "b.yaml", "--answers", "answers.yaml",
        "--mediator", "middle", "--allow", "blind-validation",
        "--set", "architectures.blind-validation.frame=ids.csv",
    )  # fmt: skip
    assert done.code == 0, done.error
    clause = read_agreement(tmp_path / "b.yaml").architectures.blind_validation
    assert clause is not None
    assert clause.frame is not None
    assert (clause.frame.rows, clause.frame.sha256) == (3, digest(["p-1", "p-2", "p-3"]))


def test_an_agreement_in_plain_words(drafted: Comity) -> None:
    whole = drafted("agree", "show", "a.yaml").out
    for words in (
        "Predict illness from age", "NOT SIGNED", "not signed by all", "every row like at least 5",
        "epsilon at most 0.5", "analyst sees:", "noisy sums of each provider's labels",
        "This holds if one may trust that", "No differential privacy", "50 rows are handed over",
        "What has no clause above is not allowed.",
    ):  # fmt: skip
        assert words in " ".join(whole.split()), words
    assert max(map(len, whole.splitlines())) <= 110
    mine = drafted("agree", "show", "a.yaml", "--for", "north").out
    assert "north sees" in mine
    assert "analyst sees" not in mine
    assert drafted("agree", "show", "a.yaml", "--for", "east").code == 4
    shown = drafted("agree", "show", "a.yaml", "--json", "-").json
    assert set(shown["architectures"][0]["sees"]) == set(PARTIES)


def test_signing_one_after_the_other_or_in_parallel(drafted: Comity, tmp_path: Path) -> None:
    asked = drafted("agree", "sign", "a.yaml", "--folder", "north")
    assert (asked.code, "nothing was signed" in asked.error) == (2, True)
    assert not read_agreement(tmp_path / "a.yaml").signatures
    for name in PARTIES:
        signed = drafted("agree", "sign", "a.yaml", "--folder", name, "--yes", "--out", f"{name}.yaml")
        assert signed.code == 0
        assert drafted("agree", "check", f"{name}.yaml").code == 6
    merged = drafted("agree", "merge", *(f"{name}.yaml" for name in PARTIES), "--out", "whole.yaml")
    assert merged.code == 0
    checked = drafted("agree", "check", "whole.yaml", "--json", "-")
    assert (checked.code, checked.json["state"], checked.json["in_force"]) == (0, "in force", True)
    # or: one reads two copies and signs them together
    again = drafted(
        "agree", "sign", "north.yaml", "south.yaml", "--folder", "analyst", "--yes", "--json", "-"
    )
    assert again.json["missing"] == []
    assert read_agreement(tmp_path / "north.yaml") == read_agreement(tmp_path / "whole.yaml")
    digest = again.json["digest"]
    assert drafted("agree", "check", digest[:8], "--folder", "analyst").code == 0
    assert drafted("agree", "check", "abcdef", "--folder", "analyst").code == 3
    with open(tmp_path / "north.yaml", encoding="utf-8") as file:
        altered = file.read().replace("admissions 2025", "admissions 2026")
    (tmp_path / "altered.yaml").write_text(altered, encoding="utf-8")
    assert drafted("agree", "check", "altered.yaml").code == 6
    assert drafted("agree", "merge", "altered.yaml", "whole.yaml").code == 3


def test_what_is_not_signed(drafted: Comity, tmp_path: Path) -> None:
    drafted("party", "init", "east", "--folder", "east")
    assert drafted("agree", "sign", "a.yaml", "--folder", "east", "--yes").code == 4
    # somebody put another key in south's place; north has south's card
    impostor = drafted("party", "init", "south", "--folder", "impostor", "--json", "-").json["key"]
    text = (tmp_path / "a.yaml").read_text(encoding="utf-8")
    genuine = str(read_agreement(tmp_path / "a.yaml").party("south").key)
    (tmp_path / "c.yaml").write_text(text.replace(genuine, impostor), encoding="utf-8")
    refused = drafted("agree", "sign", "c.yaml", "--folder", "north", "--yes")
    assert (refused.code, "than its card has" in refused.error) == (3, True)
    assert drafted("agree", "sign", "c.yaml", "--folder", "south", "--yes").code == 3
    assert not read_agreement(tmp_path / "c.yaml").signatures
    # without a card it is said
    (tmp_path / "north" / "peers" / "south.json").unlink()
    noted = drafted("agree", "sign", "a.yaml", "--folder", "north", "--yes")
    assert "no card of 'south'" in noted.out
    old = drafted(
        "agree", "draft", "--folder", "analyst", "--answers", "answers.yaml", "--out", "o.yaml",
        "--expires", "2020-01-01",
    )  # fmt: skip
    assert old.code == 0
    assert drafted("agree", "sign", "o.yaml", "--folder", "analyst", "--yes").code == 3


def test_an_amendment_replaces_what_it_names(agreed: Comity, tmp_path: Path) -> None:
    amended = agreed(
        "agree", "amend", "a.yaml", "--out", "b.yaml", "--set", "architectures.validation.queries=50",
        "--set", "data.north.consent=asked at admission", "--json", "-",
    )  # fmt: skip
    assert amended.json["changed"] == ["data.0.consent", "architectures.validation.queries"]
    assert agreed("agree", "amend", "b.yaml", "--out", "c.yaml").code == 3
    for name in PARTIES[:2]:
        signed = agreed("agree", "sign", "b.yaml", "--folder", name, "--yes")
        assert "and changes: data.0.consent" in signed.out
    assert agreed("agree", "check", "a.yaml", "--folder", "north").code == 0
    agreed("agree", "sign", "b.yaml", "--folder", "analyst", "--yes")
    agreed("agree", "merge", "b.yaml", "--folder", "north")
    assert agreed("agree", "check", "b.yaml", "--folder", "north").code == 0
    replaced = agreed("agree", "check", "a.yaml", "--folder", "north", "--json", "-")
    assert (replaced.code, replaced.json["state"]) == (4, "replaced")
    assert agreed("agree", "sign", "a.yaml", "--folder", "north", "--yes").code == 4
    # who has not got the last signature yet, goes by the first agreement
    assert agreed("agree", "check", "a.yaml", "--folder", "south").code == 0
    assert agreed("agree", "amend", "a.yaml", "--folder", "north", "--out", "d.yaml").code == 3
    told = agreed("ledger", "show", "north/ledger.db").out
    assert "has ended: the agreement was replaced" in told
    assert (
        agreed("agree", "amend", "a.yaml", "--out", "e.yaml", "--set", "data.south.budget.epsilon=9").code
        == 0
    )
    assert (
        agreed("agree", "amend", "a.yaml", "--out", "f.yaml", "--set", "data.west.budget.epsilon=9").code == 2
    )


def test_a_withdrawal_goes_round(agreed: Comity, tmp_path: Path) -> None:
    digest = read_agreement(tmp_path / "a.yaml").digest
    for name in ("north", "analyst"):
        session = tmp_path / name / "sessions" / "s1"
        session.mkdir(parents=True)
        (session / "agreement.yaml").write_text((tmp_path / "a.yaml").read_text())
        (session / "received-north.parquet").write_bytes(b"rows")
    assert agreed("agree", "withdraw", "a.yaml", "--folder", "north", "--yes").code == 2
    asked = agreed("agree", "withdraw", "a.yaml", "--folder", "north", "--reason", "no")
    assert (asked.code, "nothing was changed" in asked.error) == (2, True)
    assert agreed("agree", "check", "a.yaml", "--folder", "north").code == 0
    done = agreed(
        "agree", "withdraw", digest[:10], "--folder", "north", "--reason", "no", "--yes", "--out", "w.json"
    )
    assert done.code == 0
    for words in (
        "To be deleted, by who holds it:",
        "the released table of 'north'",
        "comity agree withdraw",
    ):
        assert words in done.out
    assert (tmp_path / "north" / "agreements" / f"{digest}.withdrawn-north.json").exists()
    assert not (tmp_path / "north" / "sessions" / "s1" / "received-north.parquet").exists()
    assert agreed("agree", "check", "a.yaml", "--folder", "north").code == 4
    assert agreed("agree", "check", "a.yaml", "--folder", "analyst").code == 0
    taken = agreed(
        "agree", "withdraw", "a.yaml", "--folder", "analyst", "--received", "w.json", "--yes", "--json", "-"
    )
    assert [file["path"] for file in taken.json["deletion"]["deleted"]] == [
        "sessions/s1/received-north.parquet"
    ]
    assert {one["holder"] for one in taken.json["obligations"]} == {"analyst"}
    (kept,) = (tmp_path / "analyst" / "agreements").glob("*.deleted-*.json")
    assert kept.read_text() == taken.out
    (tmp_path / "deleted.json").write_text(taken.out)
    proven = agreed("agree", "deleted", "deleted.json", "--agreement", "a.yaml")
    assert (proven.code, "received-north.parquet, 4 bytes" in proven.out) == (0, True)
    for was, now in (("received-north", "received-other"), ('"analyst"', '"south"')):
        (tmp_path / "forged.json").write_text(taken.out.replace(was, now, 1))
        assert agreed("agree", "deleted", "forged.json", "--agreement", "a.yaml").code == 6
    (tmp_path / "forged.json").write_text("{}")
    assert agreed("agree", "deleted", "forged.json", "--agreement", "a.yaml").code == 3
    assert agreed("agree", "check", "a.yaml", "--folder", "analyst").code == 4
    assert agreed("agree", "sign", "a.yaml", "--folder", "analyst", "--yes").code == 4
    assert agreed("ledger", "verify", "analyst/ledger.db").code == 0
    again = agreed("agree", "withdraw", "a.yaml", "--folder", "north", "--yes", "--json", "-")
    assert again.json["withdrawal"] == taken.json["withdrawal"]
    document = json.loads((tmp_path / "w.json").read_text())
    (tmp_path / "w.json").write_text(json.dumps({**document, "party": "south"}))
    assert (
        agreed("agree", "withdraw", "a.yaml", "--folder", "south", "--received", "w.json", "--yes").code == 6
    )


def test_stored_messages_go_with_the_session(agreed: Comity, tmp_path: Path) -> None:
    from comity.node.state import SessionRow, State, Status

    digest = read_agreement(tmp_path / "a.yaml").digest
    session = tmp_path / "analyst" / "sessions" / "s1"
    session.mkdir(parents=True)
    (session / "agreement.yaml").write_text((tmp_path / "a.yaml").read_text())
    secret = b"a row of somebody" * 100
    state = State.open(tmp_path / "analyst" / "state.db")
    state.begin(SessionRow("s1", digest, "direct-release", "analyst", "now", {}, Status.running, {}))
    for number in range(3):
        state.put("s1", "north", number, "0" * 64, secret)
        state.put("s2", "north", number, "0" * 64, b"other")
    state.close()
    done = agreed(
        "agree", "withdraw", "a.yaml", "--folder", "analyst", "--reason", "no", "--yes", "--json", "-"
    )
    assert done.json["deletion"]["messages"] == 3
    state = State.open(tmp_path / "analyst" / "state.db")
    row = state.session("s1")
    assert row is not None
    assert row.status is Status.refused
    assert state.incoming("s1", "north", 0) is None
    assert state.incoming("s2", "north", 0) == b"other"
    state.close()
    left = b"".join(path.read_bytes() for path in (tmp_path / "analyst").glob("state.db*"))
    assert secret[:40] not in left


def _at_terminal(arguments: list[str], lines: list[str], folder: Path) -> tuple[str, int]:
    """Run the command with somebody at the terminal who answers each question that ends a line."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        command = [sys.executable, "-c", "from comity.cli import main; main()", *arguments]
        os.execv(sys.executable, command)
    told, answers, last = b"", list(lines), time.monotonic()
    try:
        while time.monotonic() - last < 60:
            if not select.select([terminal], [], [], 0.2)[0]:
                continue
            try:
                more = os.read(terminal, 65_536)
            except OSError:
                break
            if not more:
                break
            told, last = told + more, time.monotonic()
            if told.endswith(b": ") and answers:
                os.write(terminal, answers.pop(0).encode() + b"\n")
                told += b"\n"
    finally:
        finished, status = os.waitpid(child, os.WNOHANG)
        if not finished:
            time.sleep(0.5)
            finished, status = os.waitpid(child, os.WNOHANG)
        if not finished:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
    return told.decode(), os.waitstatus_to_exitcode(status)


@pytest.mark.slow
def _asked_after(name: str) -> list[str]:
    """A plain Enter for each architecture that is asked about after this one, where there is no mediator."""
    from comity.agreement import ARCHITECTURES
    from comity.architectures import find, names

    later = [each for each in ARCHITECTURES[ARCHITECTURES.index(name) + 1 :] if each in names()]
    return ["" for each in later if not find(each).baseline and "mediator" not in find(each).programs]


def test_a_steward_at_the_terminal(met: Comity, tmp_path: Path) -> None:
    answers = [
        "Illness", "Predict illness", "because", "contract",  # one of them is no legal basis
        "ml_party", "provider", "none",  # analyst, north, south
        "none.yaml", "schema.yaml",
        "", "", "yes",  # neither plain nor direct-release, but validation
        "linked", "-1", "0.5", "", "", "", "",  # with an epsilon that is none first
        *_asked_after("validation"),
        "", "", "admissions", "research only", "ten", "10", "", "", "", "", "", "", "",
        "", "", "", "", "",
    ]  # fmt: skip
    told, code = _at_terminal(["agree", "draft", "--folder", "analyst", "--out", "t.yaml"], answers, tmp_path)
    assert code == 0, told
    assert "That cannot be taken: 'because' is none of consent" in told
    assert "none.yaml does not exist" in told
    agreement = read_agreement(tmp_path / "t.yaml")
    assert [party.name for party in agreement.parties] == ["analyst", "north"]
    assert agreement.data_of("north").seed_rows == 10
    told, code = _at_terminal(["agree", "sign", "t.yaml", "--folder", "north"], ["n"], tmp_path)
    assert (code, "nothing was signed" in told) == (2, True)
    told, code = _at_terminal(["agree", "sign", "t.yaml", "--folder", "north"], ["y"], tmp_path)
    assert (code, "Signed as 'north'" in told) == (0, True)


def test_a_draft_with_columns_that_no_node_loads_is_refused(met: Comity, tmp_path: Path) -> None:
    dated = SCHEMA.replace(
        "  ill:",
        "  seen: {role: quasi_identifier, type: text, hierarchy: {dates: {first: 2020, last: 2025}}}\n  ill:",
    )
    (tmp_path / "schema.yaml").write_text(dated, encoding="utf-8")
    asked = ("agree", "draft", "--folder", "analyst", "--answers", "answers.yaml", "--out", "d.yaml")
    refused = met(*asked)
    assert refused.code == 3
    assert "data.0.columns.seen holds dates from 2020 to 2025" in refused.error
    assert "days since a fixed day" in refused.error
    assert not (tmp_path / "d.yaml").exists()
    (tmp_path / "schema.yaml").write_text(SCHEMA.replace(", max: 110", ""), encoding="utf-8")
    assert "data.0.columns.age needs 'min' and 'max'" in met(*asked).error


def test_an_auditor_is_drafted_and_told(met: Comity, tmp_path: Path) -> None:
    answers = ANSWERS.replace("analyst: ml_party", "analyst: ml_party, court: auditor")
    (tmp_path / "answers.yaml").write_text(answers, encoding="utf-8")
    met("party", "init", "court", "--folder", "court", "--url", "https://127.0.0.1:9109")
    met("party", "card", "--folder", "court", "--json", "court.json")
    met("party", "add", "court.json", "--folder", "analyst")
    asked = ("agree", "draft", "--folder", "analyst", "--answers", "answers.yaml", "--out")
    drafted = met(*asked, "d.yaml", "--set", "data.south.auditor=nobody")
    assert drafted.code == 0, drafted.error
    assert "'court' is shown the whole table, with identifiers" in " ".join(drafted.out.split())
    agreement = read_agreement(tmp_path / "d.yaml")
    assert [data.auditor for data in agreement.data] == ["court", None]
    none = met(*asked, "e.yaml", "--set", "data.south.auditor=nobody", "--set", "data.north.auditor=nobody")
    assert "has the role auditor, but no data names it" in none.error
