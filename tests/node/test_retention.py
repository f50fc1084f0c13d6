"""The end of an agreement at a party: the gate refuses, what was kept is deleted, the ledger proves it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from comity.agreement import Agreement, Withdrawal, agreement_from
from comity.errors import BadInput, ClauseRefused, VerificationFailed
from comity.gate import execute
from comity.ledger import Account, Ledger, PrivacyUnit, verify_ledger
from comity.node.folder import PartyFolder
from comity.node.retention import (
    delete_expired,
    delete_held,
    note_end,
    note_ends,
    sessions_of,
    take_withdrawal,
)
from comity.plan import Outcome, Plan, Verdict

TODAY = datetime.now(UTC).date()


@pytest.fixture
def folders(tmp_path: Path) -> tuple[PartyFolder, PartyFolder]:
    return PartyFolder.create(tmp_path / "n", "north"), PartyFolder.create(tmp_path / "a", "analyst")


@pytest.fixture
def agreement(folders: tuple[PartyFolder, PartyFolder]) -> Agreement:
    return _signed(folders)


@pytest.fixture
def ledger(folders: tuple[PartyFolder, PartyFolder]) -> Iterator[Ledger]:
    with Ledger.open(folders[0].ledger_path, key=folders[0].key, owner="north") as ledger:
        yield ledger


def _signed(folders: tuple[PartyFolder, PartyFolder], **changes: Any) -> Agreement:
    north, analyst = folders
    columns = {
        "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 9},
        "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
    }
    agreement = agreement_from(
        {
            "comity": 1,
            "title": "Pilot",
            "parties": [
                {"name": "north", "role": "provider", "key": str(north.verify_key)},
                {"name": "analyst", "role": "ml_party", "key": str(analyst.verify_key)},
            ],
            "purpose": {"text": "learn", "legal_basis": "contract"},
            "data": [
                {"provider": "north", "lineage": "x", "source": "a", "licence": "b", "columns": columns}
            ],
            "architectures": {"direct-release": {"k": 2, "suppression": 0.1, "retention_days": 30}},
            "expires": "2999-12-31",
            **changes,
        }
    )
    agreement = agreement.sign("north", north.key).sign("analyst", analyst.key)
    for folder in folders:
        folder.keep_agreement(agreement)
    return agreement


def _plan(run: Any = lambda: Outcome({"rows": 3})) -> Plan:
    return Plan(
        architecture="direct-release",
        purpose="release a table",
        recipient="analyst",
        topic="release",
        request={"what": "table"},
        asks={"k": 2, "suppression": 0.1, "l": None, "t": None},
        account=Account("north", "x", PrivacyUnit.record),
        cost=None,
        run=run,
        check=lambda _: Verdict(True, "fine"),
    )


def _session(folder: PartyFolder, name: str, agreement: Agreement) -> Path:
    session = folder.sessions_path / name
    (session / "blind").mkdir(parents=True)
    (session / "agreement.yaml").write_text(agreement.to_yaml(), encoding="utf-8")
    (session / "receipts.jsonl").write_text("{}\n", encoding="utf-8")
    (session / "received-north.parquet").write_bytes(b"rows")
    (session / "blind" / "answer-1.answer").write_bytes(b"noise")
    return session


def _withdrawal(agreement: Agreement, folder: PartyFolder) -> Withdrawal:
    return Withdrawal.sign(agreement, folder.name, folder.key, reason="the board said no", on=TODAY)


@pytest.mark.parametrize("who", [0, 1])
def test_after_a_withdrawal_the_gate_refuses_with_the_clause(
    folders: tuple[PartyFolder, PartyFolder], agreement: Agreement, ledger: Ledger, who: int
) -> None:
    execute(_plan(), agreement, ledger)
    # another process over the same ledger, as a node that runs on
    with Ledger.open(folders[0].ledger_path, key=folders[0].key, owner="north") as other:
        take_withdrawal(folders[0], _withdrawal(agreement, folders[who]), other)
    ran: list[int] = []
    with pytest.raises(ClauseRefused, match="withdrew from the agreement") as caught:
        execute(_plan(lambda: ran.append(1) or Outcome({})), agreement, ledger)
    assert caught.value.clause == f"parties.{folders[who].name}"
    assert not ran
    assert ledger.events("refused")[-1].body["clause"] == caught.value.clause
    verify_ledger(folders[0].ledger_path).raise_for_faults()


def test_a_withdrawal_while_a_plan_runs_keeps_its_outcome_inside(
    folders: tuple[PartyFolder, PartyFolder], agreement: Agreement, ledger: Ledger
) -> None:
    def run() -> Outcome:
        take_withdrawal(folders[0], _withdrawal(agreement, folders[0]), ledger)
        return Outcome({"rows": 3})

    with pytest.raises(ClauseRefused, match="withdrew"):
        execute(_plan(run), agreement, ledger)
    assert not ledger.events("released")
    assert len(ledger.events("charged")) == 1


def test_a_replaced_agreement_ends_once_it_is_noted(
    folders: tuple[PartyFolder, PartyFolder], agreement: Agreement, ledger: Ledger
) -> None:
    assert not note_end(folders[0], agreement, ledger, on=TODAY)
    newer = _signed(folders, title="Second", replaces=agreement.digest)
    assert note_ends(folders[0], ledger, on=TODAY) == (agreement,)
    assert note_ends(folders[0], ledger, on=TODAY) == (agreement,)
    assert len(ledger.events("note")) == 1
    with pytest.raises(ClauseRefused, match="clause replaces"):
        execute(_plan(), agreement, ledger)
    execute(_plan(), newer, ledger)


def test_a_withdrawal_that_is_none_changes_nothing(
    folders: tuple[PartyFolder, PartyFolder], agreement: Agreement, ledger: Ledger
) -> None:
    genuine = _withdrawal(agreement, folders[1])
    forged = Withdrawal.read({**genuine.to_dict(), "party": "north"}, where="it")
    with pytest.raises(VerificationFailed):
        take_withdrawal(folders[0], forged, ledger)
    assert ledger.ended(agreement.digest) is None
    assert folders[0].withdrawals() == ()
    execute(_plan(), agreement, ledger)


def test_what_is_held_is_deleted_and_proven(
    folders: tuple[PartyFolder, PartyFolder], agreement: Agreement
) -> None:
    other = _signed(folders, title="Other")
    analyst = folders[1]
    gone, stays = _session(analyst, "s1", agreement), _session(analyst, "s2", other)
    outside = analyst.tables_path / "mine.parquet"
    outside.write_bytes(b"mine")
    (gone / "link").symlink_to(outside)
    (gone / "folder").symlink_to(analyst.tables_path)
    forgotten: list[str] = []
    with Ledger.open(analyst.ledger_path, key=analyst.key, owner="analyst") as ledger:
        take_withdrawal(analyst, _withdrawal(agreement, folders[0]), ledger)
        deletion = delete_held(
            analyst,
            agreement,
            ledger,
            why="'north' withdrew",
            forget=lambda name: forgotten.append(name) or 7,
        )
        again = delete_held(analyst, agreement, ledger, why="'north' withdrew")
    assert sorted(path.name for path in gone.iterdir()) == ["agreement.yaml", "receipts.jsonl"]
    assert outside.read_bytes() == b"mine"
    assert (stays / "received-north.parquet").exists()
    files = {file.path: file for file in deletion.files}
    assert files["sessions/s1/received-north.parquet"].sha256 == hashlib.sha256(b"rows").hexdigest()
    assert files["sessions/s1/blind/answer-1.answer"].size == 5
    assert (forgotten, deletion.messages, deletion.left) == (["s1"], 7, ())
    assert (again.files, again.messages) == ((), 0)
    entry = deletion.proof.verify(analyst.verify_key)
    assert entry.body["deleted_of"] == agreement.digest
    assert entry.body["deleted"] == [file.to_dict() for file in deletion.files]
    verify_ledger(analyst.ledger_path).raise_for_faults()


def test_what_cannot_be_deleted_is_said(
    folders: tuple[PartyFolder, PartyFolder],
    agreement: Agreement,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _session(folders[0], "s1", agreement)

    def stuck(path: Path, *_: object) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "unlink", stuck)
    deletion = delete_held(folders[0], agreement, ledger, why="it ended")
    assert deletion.files == ()
    assert len(deletion.left) == 2
    assert "2 could not be deleted" in ledger.events("note")[-1].body["text"]


def test_a_session_whose_agreement_cannot_be_read_is_not_passed_over(
    folders: tuple[PartyFolder, PartyFolder], agreement: Agreement
) -> None:
    session = _session(folders[0], "s1", agreement)
    (session / "agreement.yaml").write_text("comity: [", encoding="utf-8")
    with pytest.raises(BadInput, match="cannot be read"):
        list(sessions_of(folders[0], agreement.digest))


def test_sessions_are_deleted_when_their_days_are_over(
    folders: tuple[PartyFolder, PartyFolder], agreement: Agreement, ledger: Ledger
) -> None:
    old, new = _session(folders[0], "old", agreement), _session(folders[0], "new", agreement)
    for path in old.rglob("*"):
        os.utime(path, (0, 0))
    assert delete_expired(folders[0], agreement, ledger, on=date(1970, 1, 31)) is None
    deletion = delete_expired(folders[0], agreement, ledger, on=TODAY)
    assert deletion is not None
    assert {Path(file.path).parts[1] for file in deletion.files} == {"old"}
    assert (new / "received-north.parquet").exists()
    assert delete_expired(folders[0], agreement, ledger, on=TODAY) is None
