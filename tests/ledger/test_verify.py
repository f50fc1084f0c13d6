"""Tampering with the stored rows, one way at a time: each is found, and the row is named."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from comity.crypto.canonical import canonical_bytes
from comity.crypto.keys import SigningKey
from comity.errors import BadInput, VerificationFailed
from comity.ledger import Checkpoint, Ledger, Verification, gaussian, pure, verify_ledger
from comity.ledger.checkpoints import Checkpoint as Head
from comity.ledger.merkle import Frontier, leaf_hash

LABEL = "hospital/adult/label"
PER_LABEL = {"unit": "label", "relation": "change-one"}


@pytest.fixture
def kept(home: Any) -> Checkpoint:
    """A closed ledger of ten entries, and the checkpoint of all of them."""
    return ten_entries(home.open(owner="hospital"))


@pytest.fixture
def kept_in_file(place: Path) -> Checkpoint:
    return ten_entries(Ledger.open(place, owner="hospital"))


def ten_entries(opened: Ledger) -> Checkpoint:
    with opened as ledger:
        ledger.open_account(LABEL, (1.0, 1e-6))
        for turn in range(4):
            ledger.append("asked", {"account": LABEL, "text": f"question {turn}"})
            ledger.charge(pure(0.2, **PER_LABEL), account=LABEL, purpose=f"question {turn}")
        return ledger.checkpoint()


def swap(table: str, key: str, columns: str, a: int, b: int) -> list[str]:
    """Statements that exchange columns of two rows."""
    names = columns.split(", ")
    return [
        f"CREATE TABLE kept AS SELECT {columns} FROM {table} WHERE {key} = {a}",
        *(
            f"UPDATE {table} SET {n} = (SELECT {n} FROM {table} WHERE {key} = {b}) WHERE {key} = {a}"
            for n in names
        ),
        *(f"UPDATE {table} SET {n} = (SELECT {n} FROM kept) WHERE {key} = {b}" for n in names),
        "DROP TABLE kept",
    ]


ALL = "kind, event, salt, leaf"
TAMPERING = {
    "edited event": ("UPDATE events SET event = replace(event, 'question 1', 'question 9') WHERE seq = 5", 5),
    "event as text": ("UPDATE events SET event = CAST(event AS TEXT) WHERE seq = 5", 5),
    "event gone": ("UPDATE events SET event = x'' WHERE seq = 5", 5),
    "edited salt": ("UPDATE events SET salt = zeroblob(32) WHERE seq = 3", 3),
    "short salt": ("UPDATE events SET salt = zeroblob(16) WHERE seq = 3", 3),
    "edited leaf": ("UPDATE events SET leaf = zeroblob(32) WHERE seq = 3", 3),
    "edited kind": ("UPDATE events SET kind = 'note' WHERE seq = 4", 4),
    "dropped row": ("DELETE FROM events WHERE seq = 4", 4),
    "first row dropped": ("DELETE FROM events WHERE seq = 0", 0),
    "cut off tail": ("DELETE FROM events WHERE seq >= 8", 8),
    "renumbered": ("UPDATE events SET seq = 77 WHERE seq = 6", 6),
    "changed root": ("UPDATE checkpoints SET root = zeroblob(32) WHERE size = 6", 5),
    "changed time": ("UPDATE checkpoints SET time = '2020-01-01' WHERE size = 6", 5),
    "changed signature": ("UPDATE checkpoints SET signature = zeroblob(64) WHERE size = 1", 0),
    "changed agreement": ("UPDATE checkpoints SET agreement = 'x' WHERE size = 10", 9),
    "dropped checkpoint": ("DELETE FROM checkpoints WHERE size = 7", 6),
    "last checkpoint dropped": ("DELETE FROM checkpoints WHERE size = 10", 9),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_found_and_the_row_named(home: Any, kept: Checkpoint, name: str) -> None:
    statement, seq = TAMPERING[name]
    if name == "event as text" and home.in_postgres:
        return  # its columns have types: text cannot lie where bytes belong
    home.edit(statement)
    report = verify_ledger(home.place)
    assert not report
    assert any(fault.startswith(f"seq {seq}") for fault in report.faults), report.faults
    with pytest.raises(VerificationFailed):
        report.raise_for_faults()
    assert any("does NOT verify" in line for line in report.words())


@pytest.mark.parametrize("columns", [ALL, "event", "salt", "event, salt, leaf", "leaf"])
def test_reordered_rows_are_found(home: Any, kept: Checkpoint, columns: str) -> None:
    home.edit(*swap("events", "seq", columns, 4, 6))
    report = verify_ledger(home.place)
    assert any(fault.startswith("seq 4") for fault in report.faults), report.faults


def test_swapped_checkpoints_are_found(home: Any, kept: Checkpoint) -> None:
    home.edit(*swap("checkpoints", "size", "root, time, signature", 4, 6))
    assert any(fault.startswith("seq 3") for fault in verify_ledger(home.place).faults)


def test_an_event_rewritten_with_its_leaf_is_found(home: Any, kept: Checkpoint) -> None:
    [(event, salt)] = home.read("SELECT event, salt FROM events WHERE seq = 5")
    forged = event.replace(b"question 1", b"question 7")
    home.run([("UPDATE events SET event = ?, leaf = ? WHERE seq = 5", (forged, leaf_hash(salt + forged)))])
    assert forged != event
    faults = verify_ledger(home.place).faults
    assert len(faults) == 1
    assert faults[0].startswith("seq 5: this row is not the entry that was signed")


def test_entries_and_checkpoints_cut_off_together_show_against_a_kept_one(
    home: Any, kept: Checkpoint
) -> None:
    home.edit("DELETE FROM events WHERE seq >= 8", "DELETE FROM checkpoints WHERE size > 8")
    assert verify_ledger(home.place).ok  # nothing in the file shows it
    faults = verify_ledger(home.place, checkpoint=kept).faults
    assert faults == ("seq 8 to 9: missing, cut off the end (the checkpoint you kept counts 10 entries)",)
    with home.open() as ledger, pytest.raises(VerificationFailed, match="seq 8 to 9"):
        ledger.verify(kept)


def resigned(home: Any, key: SigningKey) -> None:
    """What the holder of the key can do: forge entry 5 and sign everything anew."""
    [(event, salt)] = home.read("SELECT event, salt FROM events WHERE seq = 5")
    forged = event.replace(b"hospital", b"hospitai")
    home.run([("UPDATE events SET event = ?, leaf = ? WHERE seq = 5", (forged, leaf_hash(salt + forged)))])
    frontier = Frontier()
    leaves = [leaf for (leaf,) in home.read("SELECT leaf FROM events ORDER BY seq")]
    for leaf in leaves:
        frontier = frontier.append(leaf)
        head = Head.sign(key, ledger=leaves[0], size=frontier.size, root=frontier.root(), time="2026")
        statement = "UPDATE checkpoints SET root = ?, time = ?, signature = ? WHERE size = ?"
        home.run([(statement, (head.root, head.time, head.signature, head.size))])


def test_a_rewrite_by_the_key_holder_shows_against_a_kept_checkpoint(home: Any, kept: Checkpoint) -> None:
    resigned(home, home.key())
    report = verify_ledger(home.place, checkpoint=kept)
    assert any("rewritten since the checkpoint of 10 entries" in fault for fault in report.faults)


def test_a_rewrite_with_another_key_shows(home: Any, kept: Checkpoint) -> None:
    resigned(home, SigningKey.generate())
    assert not verify_ledger(home.place)


def test_a_pinned_key(home: Any, kept: Checkpoint) -> None:
    key = home.key().verify_key
    report = verify_ledger(home.place, key=key, checkpoint=kept)
    assert report.ok
    assert report.pinned
    other = verify_ledger(home.place, key=SigningKey.generate().verify_key)
    assert any("another key than the one you gave" in fault for fault in other.faults)


def test_a_checkpoint_of_another_ledger(home: Any, kept: Checkpoint, tmp_path: Path) -> None:
    key = home.key()
    with Ledger.open(tmp_path / "other.db", key=key) as other:
        foreign = other.checkpoint()
    assert verify_ledger(home.place, checkpoint=foreign).faults == (
        "the checkpoint you kept is of another ledger",
    )


def test_a_forged_kept_checkpoint(home: Any, kept: Checkpoint) -> None:
    forged = Checkpoint.from_dict({**kept.to_dict(), "size": 12})
    report = verify_ledger(home.place, checkpoint=forged)
    assert any("signature" in fault for fault in report.faults)


def append_by_force(home: Any, kind: str, body: Callable[[dict[str, object]], dict[str, object]]) -> None:
    """Append an entry past the filter, signed and hashed as it should be: what changed software could do."""
    with home.open() as ledger:
        model = dict(ledger.events("charged")[-1].body)
        decided = ledger._decide(lambda accounts: (kind, body(model)))
        assert decided is not None


def test_an_overspend_is_found_by_replay(home: Any, kept: Checkpoint) -> None:
    cost = gaussian(1.0, **PER_LABEL).to_dict()
    append_by_force(home, "charged", lambda body: {**body, "cost": cost})
    faults = verify_ledger(home.place).faults
    assert faults == (
        "seq 10: overspent: the budget of account hospital/adult/label did not admit this charge",
    )


def test_a_charge_to_no_account_is_found(home: Any, kept: Checkpoint) -> None:
    append_by_force(home, "charged", lambda body: {**body, "account": "x/y/label"})
    assert "seq 10: a charge to account x/y/label, which was not open" in verify_ledger(home.place).faults


@pytest.fixture
def locked_folder(tmp_path: Path, place: Path, kept_in_file: Checkpoint) -> Path:
    """A copy of the file alone, in a folder that cannot be written to."""
    folder = tmp_path / "copy"
    folder.mkdir()
    shutil.copyfile(place, folder / "copied.db")
    os.chmod(folder / "copied.db", 0o444)
    os.chmod(folder, 0o555)
    return folder


def test_a_read_only_copy_without_wal_or_key(locked_folder: Path) -> None:
    report = verify_ledger(locked_folder / "copied.db")
    assert report.ok
    assert report.size == 10
    assert [path.name for path in locked_folder.iterdir()] == ["copied.db"]
    os.chmod(locked_folder, 0o755)


def test_a_copy_with_its_wal_holds_the_latest_entries(tmp_path: Path, place: Path) -> None:
    ledger = Ledger.open(place)
    ledger.open_account(LABEL, (1.0, 1e-6))
    for _ in range(5):
        ledger.append("note", {})
    for copied, endings in (("whole", ("", "-wal")), ("bare", ("",))):
        folder = tmp_path / copied
        folder.mkdir()
        for ending in endings:
            shutil.copyfile(f"{place}{ending}", folder / f"copied.db{ending}")
    assert verify_ledger(tmp_path / "whole" / "copied.db").size == 7
    assert sorted(path.name for path in (tmp_path / "whole").iterdir()) == ["copied.db", "copied.db-wal"]
    with pytest.raises(BadInput, match="holds no ledger"):
        verify_ledger(tmp_path / "bare" / "copied.db")  # nothing had reached the file itself yet
    ledger.close()
    shutil.copyfile(place, tmp_path / "bare" / "copied.db")
    assert verify_ledger(tmp_path / "bare" / "copied.db").size == 7


def test_words_and_json_of_a_good_ledger(home: Any, kept: Checkpoint) -> None:
    report = verify_ledger(home.place, checkpoint=kept)
    words = "\n".join(report.words())
    assert "10 entries" in words
    assert "It extends the checkpoint of 10 entries that you kept." in words
    assert (
        "Account hospital/adult/label: epsilon 0.8, delta 0 in 4 charges, of epsilon 1, delta 1e-06." in words
    )
    assert canonical_bytes(report.to_dict())
    assert isinstance(report, Verification)


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be one" * 50])
def test_what_is_no_ledger(tmp_path: Path, content: bytes) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(content)
    with pytest.raises(BadInput, match=r"holds no ledger|is not a ledger"):
        verify_ledger(other)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no ledger at"):
        verify_ledger(tmp_path / "nowhere.db")


def test_a_damaged_file_is_told(place: Path, kept_in_file: Checkpoint) -> None:
    content = bytearray(place.read_bytes())
    content[5000:9000] = os.urandom(4000)
    place.write_bytes(bytes(content))
    with pytest.raises((BadInput, VerificationFailed)):
        verify_ledger(place).raise_for_faults()


@pytest.mark.parametrize("name", ["edited event", "dropped row", "cut off tail", "last checkpoint dropped"])
def test_a_tampered_ledger_is_not_continued(home: Any, kept: Checkpoint, name: str) -> None:
    home.edit(TAMPERING[name][0])
    with pytest.raises(VerificationFailed):
        home.open()


def test_tampering_under_an_open_ledger_is_found(ledger: Ledger, home: Any) -> None:
    ledger.append("note", {})
    home.edit("UPDATE events SET salt = zeroblob(32) WHERE seq = 1")
    with pytest.raises(VerificationFailed, match="seq 1"):
        ledger.verify()
    home.edit("DELETE FROM events WHERE seq = 2", "DELETE FROM checkpoints WHERE size = 3")
    with pytest.raises(VerificationFailed, match="cut off"):
        ledger.append("note", {})
