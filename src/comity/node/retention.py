"""The end of an agreement at a party: nothing more is released, and what it brought is deleted, provably.

First a `note` in the ledger says that the agreement has ended; from then on the gate refuses every plan under
it, in this process and every other one. Then the files of its sessions are deleted, and a second `note` lists
each with its size and SHA-256. A crash between the two is mended by doing it again: what is gone stays gone,
what is left is deleted and noted.

What is deleted is what comity keeps: the session folders (received tables, uploads, stored answers, results).
Receipts and the agreement stay, as evidence. Copies that people made, backups, and what a disk keeps of
deleted files are out of its reach, and the words of the note claim no more.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from comity.agreement import Agreement, State, Withdrawal, read_agreement
from comity.errors import BadInput, ComityError, VerificationFailed
from comity.ledger import Entry, Ledger
from comity.ledger.openings import Opening, opening_of
from comity.node.folder import PartyFolder

KEPT: Final = frozenset({"agreement.yaml", "receipts.jsonl"})
"""Files of a session that stay: they say what was agreed and what left, and hold no data."""

_CHUNK: Final = 1 << 20

Forget = Callable[[str], int]
"""Deletes the stored messages of a session, by its name; returns how many."""


@dataclass(frozen=True)
class Gone:
    """A file that was deleted: its place in the party's folder, bytes, and SHA-256."""

    path: str
    size: int
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        return {"path": self.path, "bytes": self.size, "sha256": self.sha256}


@dataclass(frozen=True)
class Deletion:
    """What a party has deleted of an agreement.

    Attributes:
        agreement: the agreement's digest.
        files: every file that is gone.
        messages: how many stored messages are gone.
        left: files that could not be deleted, with the reason; empty if all went well.
        proof: the ledger's entry that says so, opened, under a signed checkpoint: whoever has the party's key
            can check it (`Opening.verify`).
    """

    agreement: str
    files: tuple[Gone, ...]
    messages: int
    left: tuple[str, ...]
    proof: Opening

    def to_dict(self) -> dict[str, Any]:
        return {
            "agreement": self.agreement,
            "deleted": [file.to_dict() for file in self.files],
            "messages": self.messages,
            "left": list(self.left),
            "entry": self.proof.inclusion.seq,
            "proof": self.proof.to_dict(),
        }


def note_end(folder: PartyFolder, agreement: Agreement, ledger: Ledger, *, on: date) -> bool:
    """Write into the ledger that an agreement was withdrawn from or replaced, if it was; once.

    Returns:
        Whether the agreement has ended, as far as this party knows.
    """
    if ledger.ended(agreement.digest) is not None:
        return True
    standing = folder.standing(agreement, on)
    if standing.state not in (State.withdrawn, State.replaced):
        return False
    ledger.append(
        "note",
        {
            "text": f"the agreement '{agreement.title}' has ended: {standing.words}",
            "ended": agreement.digest,
            "state": str(standing.state),
            "by": standing.by,
            "clause": standing.clause,
            "would_pass": standing.would_pass,
        },
    )
    return True


def note_ends(folder: PartyFolder, ledger: Ledger, *, on: date) -> tuple[Agreement, ...]:
    """`note_end` of every agreement kept; those that have ended. A node does this at its start."""
    kept = folder.agreements().values()
    return tuple(agreement for agreement in kept if note_end(folder, agreement, ledger, on=on))


def take_withdrawal(folder: PartyFolder, withdrawal: Withdrawal, ledger: Ledger) -> Agreement:
    """Keep a withdrawal, this party's own or another's, and let nothing more leave under its agreement.

    Raises:
        BadInput: if the agreement is not kept here.
        ClauseRefused: if it is by nobody of its parties.
        VerificationFailed: if its signature does not fit.
    """
    agreement = folder.agreement(withdrawal.agreement)
    folder.keep_withdrawal(withdrawal)
    note_end(folder, agreement, ledger, on=datetime.now(UTC).date())
    return agreement


def delete_held(
    folder: PartyFolder, agreement: Agreement, ledger: Ledger, *, why: str, forget: Forget | None = None
) -> Deletion:
    """Delete what this party's node keeps of an agreement's sessions, and prove it in the ledger.

    Args:
        why: in words, for the ledger.
        forget: deletes a session's stored messages; None where no node has stored any.
    """
    sessions = tuple(sessions_of(folder, agreement.digest))
    return _delete(folder, agreement, ledger, sessions, why=why, forget=forget)


def delete_expired(
    folder: PartyFolder, agreement: Agreement, ledger: Ledger, *, on: date, forget: Forget | None = None
) -> Deletion | None:
    """Delete the sessions of an agreement whose `retention_days` are over; None if there is none.

    The days count from the last change of a session's files; the longest term of the agreement's clauses
    holds, since a session does not say which clause each file is under.
    """
    days = max(clause.retention_days for clause in agreement.architectures)
    over = tuple(
        session
        for session in sessions_of(folder, agreement.digest)
        if any(_to_delete(session)) and _last_change(session) + timedelta(days=days) < on
    )
    if not over:
        return None
    return _delete(folder, agreement, ledger, over, why=f"retention_days, {days}, are over", forget=forget)


def verify_deletion(document: Mapping[str, Any], agreement: Agreement, party: str) -> Entry:
    """Check what another party says it has deleted (`Deletion.to_dict`) against its ledger's proof.

    Shown is that the party's signed ledger says so, not that no copy is left.

    Returns:
        The ledger's entry.

    Raises:
        BadInput: if it is no such document.
        ClauseRefused: if there is no such party in the agreement.
        VerificationFailed: if the proof is not by that party's key, or about something else.
    """
    proof = document.get("proof")
    if not isinstance(proof, Mapping):
        raise BadInput("this is not what a party says it has deleted: it has no 'proof'")
    entry = Opening.from_dict(proof).verify(agreement.party(party).key)
    same = (
        entry.kind == "note"
        and entry.body.get("deleted_of") == agreement.digest == document.get("agreement")
        and all(entry.body.get(name) == document.get(name) for name in ("deleted", "messages", "left"))
    )
    if not same:
        raise VerificationFailed(
            f"the entry of the ledger of '{party}' says something else than the list it came with"
        )
    return entry


def sessions_of(folder: PartyFolder, digest: str) -> Iterator[Path]:
    """The folders of an agreement's sessions and candidate releases, by the agreement that each holds."""
    places = [place for place in (folder.sessions_path, folder.candidates_path) if place.is_dir()]
    for session in (entry for place in places for entry in sorted(place.iterdir())):
        path = session / "agreement.yaml"
        if session.is_symlink() or not path.is_file():
            continue
        try:
            held = read_agreement(path).digest
        except ComityError as error:
            raise BadInput(f"which agreement {session} is under cannot be read: {error}") from None
        if held == digest:
            yield session


def _delete(
    folder: PartyFolder,
    agreement: Agreement,
    ledger: Ledger,
    sessions: tuple[Path, ...],
    *,
    why: str,
    forget: Forget | None,
) -> Deletion:
    gone: list[Gone] = []
    left: list[str] = []
    messages = 0
    for session in sessions:
        for path in list(_to_delete(session)):
            name = str(path.relative_to(folder.path))
            try:
                gone.append(_deleted(path, name))
            except OSError as error:
                left.append(f"{name}: {error.strerror}")
        _remove_empty(session)
        messages += 0 if forget is None else forget(session.name)
    files = "1 file" if len(gone) == 1 else f"{len(gone)} files"
    text = f"deleted {files} and {messages} stored messages of the agreement '{agreement.title}': {why}"
    entry = ledger.append(
        "note",
        {
            "text": text + (f"; {len(left)} could not be deleted" if left else ""),
            "deleted_of": agreement.digest,
            "deleted": [file.to_dict() for file in gone],
            "messages": messages,
            "left": left,
        },
    )
    return Deletion(agreement.digest, tuple(gone), messages, tuple(left), opening_of(entry))


def _to_delete(session: Path) -> Iterator[Path]:
    """A session's files but those that stay; links are deleted as links, never followed."""
    for place, folders, files in os.walk(session, followlinks=False):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in sorted([*files, *links]):
            if not (Path(place) == session and name in KEPT):
                yield Path(place) / name


def _deleted(path: Path, name: str) -> Gone:
    digest, size = hashlib.sha256(), 0
    if path.is_file() and not path.is_symlink():
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
    path.unlink()
    return Gone(name, size, digest.hexdigest())


def _remove_empty(session: Path) -> None:
    for place, _, _ in os.walk(session, topdown=False):
        if Path(place) != session and not any(Path(place).iterdir()):
            Path(place).rmdir()


def _last_change(session: Path) -> date:
    latest = max((path.lstat().st_mtime for path in _to_delete(session)), default=0.0)
    return datetime.fromtimestamp(latest, UTC).date()
