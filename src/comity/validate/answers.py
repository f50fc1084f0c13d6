"""Answers kept: a question asked again gets the stored bytes, for free; and what a restart has to know.

Every answer is a note in the validator's ledger: the digest of the question, the noisy sums, who asked and
when, and the digests of the groupings it told of. Where the ledger is a file, groupings lie beside it
(compressed, each under its own digest, for the owner only), on the disk before the charge. Opening the same
ledger again replays all of it: account, answers, monitor, and the day's counts.

Several processes may hold the same labels over one ledger. From looking a question up to keeping its answer
one of them is `alone`, by a lock on a file that the system takes back when a process dies, and first takes up
what the others answered: a question is charged once, whoever is asked it. A process that dies between the
charge and the note has spent the charge and told nothing; the question asked again is charged again.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import zlib
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, ClauseRefused, VerificationFailed
from comity.mechanism import Noise
from comity.validate.mechanism import NoisySums

if TYPE_CHECKING:
    from comity.ledger import Ledger
    from comity.validate.frame import Frame
    from comity.validate.monitor import Monitor

Integers = NDArray[np.int64]

_ANSWER: Final = "validation answer"
_REFUSAL: Final = "validation refusal"
_FRAME: Final = "validation frame"


@dataclass(frozen=True)
class Asked:
    """A question as it is kept.

    Attributes:
        digest: of the query, the records and the price asked for.
        asker: who asked.
        purpose: in words.
    """

    digest: str
    asker: str
    purpose: str


class Answers:
    """What one validator has answered and refused.

    Args:
        ledger: of the validator.
        folder: where groupings are kept; None: nowhere, the ledger is in memory.
        per_day: questions (1 or more) that one asker may ask in one day (UTC), repeats not counted; None: any
            number.
        clause: the clause that a refusal over the cap names.
    """

    def __init__(
        self,
        ledger: Ledger,
        folder: Path | None,
        *,
        per_day: int | None = None,
        clause: str = "architectures.validation.queries",
    ) -> None:
        self._ledger, self._folder, self._per_day, self._clause = ledger, folder, per_day, clause
        self._kept: dict[str, NoisySums] = {}
        self._days: Counter[tuple[str, str]] = Counter()
        self._known: dict[str, str] = {}
        self._records = 0
        self._monitor: Monitor | None = None
        self._founded = False
        self._next = 0

    def replay(self, frame: Frame, labels: NDArray[Any], monitor: Monitor) -> None:
        """Take up what the ledger says of earlier answers; found the frame where it says nothing.

        Raises:
            BadInput: if the ledger's answers are about other records or labels.
            VerificationFailed: if a grouping beside the ledger is missing or altered.
        """
        self._known = {"frame": array_digest(frame.ids), "labels": array_digest(labels)}
        self._records, self._monitor = len(frame), monitor
        with self.alone():
            if not self._founded and self._folder is not None:
                about = f"a frame of {len(frame)} records"
                self._noted({"what": _FRAME, "text": about, **self._known})
                self._founded = True

    @contextmanager
    def alone(self) -> Generator[None, None, None]:
        """No other process answers from this ledger meanwhile; what others answered before is known.

        Raises:
            VerificationFailed: as `replay`.
        """
        if self._folder is None:
            yield  # in memory: there is no other process
            return
        handle = os.open(f"{self._folder}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self._catch_up()
            yield
        finally:
            os.close(handle)

    def _catch_up(self) -> None:
        """Take up the notes since the last one that is known."""
        for entry in self._ledger.events("note", start=self._next):
            body, what = entry.body, entry.body.get("what")
            if what == _FRAME:
                self._founded = True
                _require_same(body, self._known)
            elif what in (_ANSWER, _REFUSAL):
                self._days[body["asker"], entry.time[:10]] += 1
            if what == _ANSWER and self._monitor is not None:
                self._monitor.replay([self._grouping(name, self._records) for name in body["groupings"]])
                self._kept[body["digest"]] = _sums(body)
            self._next = entry.seq + 1

    def _noted(self, body: Mapping[str, Any]) -> None:
        """Write a note of one's own; all notes before it are known, since nobody else writes any now."""
        self._next = self._ledger.append("note", body).seq + 1

    def kept(self, digest: str) -> NoisySums | None:
        """The stored answer to a question, if it was asked before."""
        return self._kept.get(digest)

    def require_room(self, asker: str) -> None:
        """Refuse a question over the day's cap.

        Raises:
            ClauseRefused: until the next day (UTC).
        """
        asked = self._days[asker, _today()]
        if self._per_day is not None and asked >= self._per_day:
            raise ClauseRefused(
                f"'{asker}' has asked {asked} questions today",
                clause=self._clause,
                asked="one more",
                would_pass="a question asked before, whose answer is kept, or waiting until tomorrow (UTC)",
            )

    def keep_groupings(self, groupings: Sequence[NDArray[Any]]) -> list[str]:
        """Write groupings beside the ledger, durably; their digests."""
        if self._folder is None:
            return []
        return [self._written(grouping) for grouping in groupings]

    def keep(self, asked: Asked, groupings: Sequence[str], sums: NoisySums) -> None:
        """Store an answer; the next one to ask the same gets it."""
        calibration = sums.calibration
        self._noted(
            {
                "what": _ANSWER,
                "text": f"answered '{asked.asker}': {asked.purpose}",
                "asker": asked.asker,
                "digest": asked.digest,
                "groupings": list(groupings),
                "law": calibration.law,
                "shift": calibration.shift,
                "scale": calibration.scale.hex(),
                "sums": base64.b64encode(np.asarray(sums.values, dtype="<f8").tobytes()).decode(),
            }
        )
        self._days[asked.asker, _today()] += 1
        self._kept[asked.digest] = sums

    def note_refusal(self, asked: Asked, reason: str) -> None:
        """Remember that a question was refused, and for which public reason."""
        self._days[asked.asker, _today()] += 1
        self._noted(
            {
                "what": _REFUSAL,
                "text": f"refused '{asked.asker}': {asked.purpose}: {reason}",
                "asker": asked.asker,
                "digest": asked.digest,
                "reason": reason,
            }
        )

    def _written(self, grouping: NDArray[Any]) -> str:
        small = smallest(grouping)
        name = f"{hashlib.sha256(small.tobytes()).hexdigest()}-{small.dtype.str[1:]}"
        folder = self._folder
        if folder is None or (folder / name).exists():
            return name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = folder / f"{name}.draft"
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(zlib.compress(small.tobytes(), 1))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / name)
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)  # so that a power cut does not lose the name
        finally:
            os.close(handle)
        return name

    def _grouping(self, name: str, records: int) -> Integers:
        if self._folder is None:
            raise VerificationFailed("the ledger tells of groupings that are kept nowhere")
        code, _, kind = name.partition("-")
        try:
            data = zlib.decompress((self._folder / name).read_bytes())
        except (OSError, zlib.error):
            raise VerificationFailed(
                f"the grouping {name} beside the ledger is missing or damaged: restore {self._folder}"
            ) from None
        if hashlib.sha256(data).hexdigest() != code or len(data) != records * np.dtype(f"<{kind}").itemsize:
            raise VerificationFailed(
                f"the grouping {name} beside the ledger is not the one that was answered"
            )
        return np.frombuffer(data, dtype=f"<{kind}").astype(np.int64)


def query_digest(query: Any, places: NDArray[np.int64] | None, epsilon: float | None) -> str:
    """The digest of a question: everything that its exact answer and its noise depend on.

    Args:
        query: a query (a frozen dataclass of numbers and arrays).
        places: of its records in the frame; None: all of them in order.
        epsilon: what was asked for.
    """
    hasher = hashlib.sha256()
    _feed(hasher, query)
    _feed(hasher, places)
    _feed(hasher, None if epsilon is None else float(epsilon).hex())
    return hasher.hexdigest()


def array_digest(values: NDArray[Any]) -> str:
    """The digest of an array's values."""
    hasher = hashlib.sha256()
    _feed(hasher, values if values.dtype.kind != "O" else tuple(values.tolist()))
    return hasher.hexdigest()


def smallest(values: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers in the smallest little-endian type that holds them all."""
    if values.dtype.kind == "b":
        return np.packbits(values)
    if values.dtype.itemsize == 1:
        return values
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for kind in ("i1", "i2", "i4"):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return values.astype(f"<{kind}")
    return values.astype("<i8" if high <= np.iinfo(np.int64).max else "<u8")


def _feed(hasher: Any, value: Any) -> None:
    """Add a value to a digest; lengths and types are part of it, so that no two values read alike."""
    if isinstance(value, np.ndarray):
        data = value.astype("<f8") if value.dtype.kind == "f" else smallest(value)
        hasher.update(f"array {value.shape} {data.dtype.str};".encode())
        hasher.update(np.ascontiguousarray(data).data)
    elif isinstance(value, tuple):
        hasher.update(f"tuple {len(value)};".encode())
        for one in value:
            _feed(hasher, one)
    elif is_dataclass(value) and not isinstance(value, type):
        hasher.update(f"{type(value).__name__};".encode())
        for one in fields(value):
            _feed(hasher, getattr(value, one.name))
    else:
        text = repr(value).encode()
        hasher.update(f"{type(value).__name__} {len(text)};".encode() + text)


def _sums(body: Mapping[str, Any]) -> NoisySums:
    values = np.frombuffer(base64.b64decode(body["sums"]), dtype="<f8").astype(np.float64)
    return NoisySums(values, Noise(body["law"], body["shift"], float.fromhex(body["scale"])))


def _require_same(body: Mapping[str, Any], known: Mapping[str, str]) -> None:
    for name, digest in known.items():
        if body[name] != digest:
            raise BadInput(
                f"the store's answers are about other {'records' if name == 'frame' else 'labels'}: "
                "open it with those it was founded with, or give these data a store of their own",
                private=True,
            )


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
