"""The keeper: a party's folder of countersigned checkpoints, and the rule by which it signs others'.

`countersigned/<owner>.jsonl` holds, a line each, the countersignatures of that owner's checkpoints: in the
signer's folder those it gave, in the owner's folder those it got. A signature is on the disk before it is
given. A refusal is kept, with both checkpoints, in `<owner>.refused.jsonl` and told in the signer's ledger.

Giving or taking a countersignature appends to no ledger: if it did, each would make a new checkpoint to sign.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from comity.crypto.keys import SigningKey, VerifyKey
from comity.errors import BadInput, UsageError, VerificationFailed
from comity.ledger.checkpoints import Checkpoint
from comity.ledger.countersignatures import Countersignature, Offer
from comity.ledger.entries import now
from comity.ledger.log import Log


class Keeper:
    """One party's side: it countersigns and keeps others' checkpoints, and keeps what they signed of its own.

    Safe to use from several threads and processes.
    """

    def __init__(self, folder: Path, *, party: str, key: SigningKey, ledger: Log | None = None) -> None:
        """
        Args:
            folder: `countersigned/` in the party's folder; made if it is not there.
            party: this party's name.
            key: this party's key.
            ledger: this party's own ledger, where refusals are told.
        """
        self.folder = folder
        self.party = party
        self._key = key
        self._ledger = ledger
        self._lock = threading.RLock()

    def last(self, owner: str) -> Checkpoint | None:
        """The checkpoint of `owner` that this party countersigned last: what its next offer has to extend."""
        given = [one for one in self.kept(owner) if one.party == self.party]
        return given[-1].checkpoint if given else None

    def got(self, by: str) -> Checkpoint | None:
        """The checkpoint of this party's own ledger that `by` countersigned last: what to offer it from."""
        given = [one for one in self.kept(self.party) if one.party == by]
        return given[-1].checkpoint if given else None

    def kept(self, owner: str) -> tuple[Countersignature, ...]:
        """Every countersignature kept of this owner's checkpoints, as they came.

        Raises:
            VerificationFailed: if the file is damaged.
        """
        return tuple(countersignatures_in(self._path(owner)))

    def countersign(self, offered: dict[str, Any], *, owner: str, owner_key: VerifyKey) -> Countersignature:
        """Sign a checkpoint that extends the last one kept; the same one again gets the same signature.

        Args:
            offered: what the owner sent (`offer`).
            owner: whose ledger it is: the authenticated sender.
            owner_key: its key, from the agreement.

        Raises:
            BadInput: if it is no offer, or is one of this party's own ledger.
            VerificationFailed: if the signature is wrong, or the checkpoint does not extend what was kept;
                the refusal is then recorded with both checkpoints.
        """
        if owner == self.party:
            raise BadInput("a party does not countersign its own ledger")
        offer = Offer.from_dict(offered)
        offer.checkpoint.verify(owner_key)
        with self._writing(self._path(owner)) as file:
            given = [one for one in _read(self._path(owner)) if one.party == self.party]
            for one in reversed(given):
                if one.checkpoint == offer.checkpoint:
                    return one
            if given:
                self._check_extends(owner, given[-1].checkpoint, offer)
            signed = Countersignature.sign(self._key, party=self.party, checkpoint=offer.checkpoint)
            signed.verify(self._key.verify_key, owner_key)
            _append(file, signed.to_dict())
        return signed

    def accept(self, countersignature: Countersignature, *, key: VerifyKey, ledger: Log) -> None:
        """Keep another party's countersignature of this party's own checkpoint; again does no harm.

        Args:
            key: the other party's, from the agreement.
            ledger: this party's own.

        Raises:
            VerificationFailed: if a signature does not verify, or the checkpoint is not of this ledger.
        """
        if countersignature.party == self.party:
            raise BadInput("a party does not countersign its own ledger")
        countersignature.verify(key, ledger.verify_key)
        ledger.check_own(countersignature.checkpoint)
        with self._writing(self._path(self.party)) as file:
            if countersignature not in _read(self._path(self.party)):
                _append(file, countersignature.to_dict())

    def refusals(self, owner: str) -> tuple[dict[str, Any], ...]:
        """What was refused of this owner: time, fault, and the checkpoints kept and offered."""
        return tuple(_lines(self._refused(owner)))

    def _check_extends(self, owner: str, kept: Checkpoint, offer: Offer) -> None:
        fault, reason = _fault(kept, offer)
        if fault is None:
            return
        record = {"fault": fault, "kept": kept.to_dict(), "offered": offer.checkpoint.to_dict()}
        known = any({**line, "time": None} == {**record, "time": None} for line in self.refusals(owner))
        if not known:
            with self._writing(self._refused(owner)) as file:
                _append(file, {"time": now(), **record})
            if self._ledger is not None:
                purpose = f"countersign a checkpoint of {offer.checkpoint.size} entries"
                self._ledger.append(
                    "refused", {"party": owner, "purpose": purpose, "reason": reason, **record}
                )
        raise VerificationFailed(reason)

    def _path(self, owner: str) -> Path:
        if not owner or not all(c.isalnum() or c in "-_" for c in owner):
            raise UsageError(f"'{owner[:80]}' cannot be a party's name")
        return self.folder / f"{owner}.jsonl"

    def _refused(self, owner: str) -> Path:
        return self._path(owner).with_suffix(".refused.jsonl")

    @contextmanager
    def _writing(self, path: Path) -> Generator[BinaryIO, None, None]:
        """A file for one writer at a time, a line that a crash cut off taken away."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = not path.exists()
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            if new:
                _sync_names(self.folder)
        except OSError as error:
            raise BadInput(f"{path} cannot be written: {error.strerror}") from None
        with self._lock, os.fdopen(handle, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            content = file.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                file.truncate(whole)
            yield file


def countersignatures_in(path: Path) -> list[Countersignature]:
    """The countersignatures in a file; signatures are not checked here.

    Raises:
        VerificationFailed: naming the line that is damaged.
    """
    return _read(path)


def _fault(kept: Checkpoint, offer: Offer) -> tuple[str | None, str]:
    """What speaks against countersigning, in one word for machines and in a sentence."""
    new = offer.checkpoint
    if new.ledger != kept.ledger:
        return "fork", "the checkpoint offered is of another ledger than the one countersigned before"
    if new.size == kept.size and new.root != kept.root:
        return "fork", (
            f"two histories of {new.size} entries were signed with one key: the ledger was forked; both "
            "checkpoints are kept, they prove it"
        )
    if new.size < kept.size:
        return "rollback", (
            f"the checkpoint offered has {new.size} entries, one of {kept.size} was countersigned before: "
            "the ledger was rolled back"
        )
    if new.size == kept.size:
        return None, ""
    try:
        offer.check_extends(kept)
    except VerificationFailed as error:
        return "unproven", f"the checkpoint offered does not extend the one countersigned before: {error}"
    return None, ""


def _sync_names(folder: Path) -> None:
    """So that a power cut does not lose a new file's name."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _append(file: BinaryIO, document: dict[str, Any]) -> None:
    file.write((json.dumps(document, separators=(",", ":")) + "\n").encode())
    file.flush()
    os.fsync(file.fileno())


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            yield json.loads(line)
        except ValueError:
            raise VerificationFailed(f"{path} is damaged in line {number}: it is not JSON") from None


def _read(path: Path) -> list[Countersignature]:
    found: list[Countersignature] = []
    for number, line in enumerate(_lines(path), start=1):
        try:
            found.append(Countersignature.from_dict(line))
        except BadInput as error:
            raise VerificationFailed(f"{path} is damaged in line {number}: {error}") from None
    return found
