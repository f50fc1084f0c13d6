"""What a provider's node holds for feedback conversations: the frame, its labels, the monitor, groupings.

One book for each agreement and target: all conversations about it share its monitor, whoever asks. Labels are
read when a first question has been charged, never before.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from comity.architectures.definition import Task
from comity.architectures.models import labels_of
from comity.crypto.canonical import canonical_bytes, digest
from comity.errors import BadInput, ClauseRefused
from comity.schema import Role
from comity.validate.monitor import Monitor

if TYPE_CHECKING:
    from pathlib import Path

    from comity.agreement import Agreement

MOST_NAME = 60


@dataclass(eq=False)
class Grouping:
    """A registered grouping of the frame.

    Attributes:
        codes: (records,) group numbers, -1 for records in no group.
        sizes: (groups,) records.
        digest: SHA-256 of the codes as they were sent.
        smallest: records in the smallest group.
    """

    codes: NDArray[Any]
    sizes: NDArray[np.int64]
    digest: bytes
    smallest: int
    _positives: NDArray[np.int64] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, codes: NDArray[Any]) -> Grouping:
        """
        Raises:
            BadInput: if groups are not numbered from 0 without gaps.
        """
        inside = codes[codes >= 0].astype(np.int64)
        sizes = np.bincount(inside) if len(inside) else np.zeros(0, dtype=np.int64)
        if codes.min(initial=0) < -1 or not len(sizes) or not sizes.all():
            raise BadInput("a grouping numbers its groups from 0 without gaps, -1 for records in none")
        digest = hashlib.sha256(codes.tobytes()).digest()
        return cls(codes, sizes.astype(np.int64), digest, int(sizes.min()))

    def positives(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        """(groups,) positive labels in each group. Private."""
        if self._positives is None:
            inside = self.codes >= 0
            counted = np.bincount(
                self.codes[inside].astype(np.int64), weights=labels[inside], minlength=len(self.sizes)
            )
            self._positives = counted.astype(np.int64)
        return self._positives


class Book:
    """The frame of one provider's table, its monitor, and its labels for one target.

    Attributes:
        records: how many there are.
        frame: digest of their ids.
        name: what agreement, task and frame are told apart by.
        monitor: of all groupings of these records, whoever asks.
    """

    def __init__(self, table: Path, task: Task, minimum: int, key: str) -> None:
        self._table, self._task = table, task
        if not table.is_file():
            raise BadInput(f"this party has no table 'train': expected it at {table}", private=True)
        self._file = _file(table)
        ids: list[Any] = pq.read_table(table, columns=[task.id]).column(0).to_pylist()
        self._order = sorted(range(len(ids)), key=ids.__getitem__)
        self.records = len(ids)
        self.frame = digest([ids[at] for at in self._order])
        self.name = f"{key}/{self.frame}"
        self.monitor = Monitor(range(self.records), minimum=minimum)
        self._labels: NDArray[np.uint8] | None = None
        self._lock = threading.Lock()

    @property
    def is_old(self) -> bool:
        """Whether the table has been loaded anew since this was read from it."""
        return not self._table.is_file() or _file(self._table) != self._file

    def labels(self) -> NDArray[np.uint8]:
        """(records,) 0 or 1, in the frame's order. Private: to be called after a charge.

        Raises:
            BadInput: if the table was loaded anew meanwhile: its rows are others.
        """
        with self._lock:
            if self._labels is None:
                if self.is_old:
                    raise BadInput(
                        "the table was loaded anew after this conversation was opened: open a new one",
                        private=True,
                    )
                rows = pq.read_table(self._table, columns=[self._task.id, self._task.target])
                self._labels = labels_of(rows, self._task)[np.array(self._order, dtype=np.int64)]
            return self._labels

    def read_grouping(self, data: bytes) -> Grouping:
        """A grouping as it is sent: little-endian 16-bit whole numbers in the frame's order.

        Raises:
            BadInput: if it is none of this frame.
        """
        if len(data) != 2 * self.records:
            raise BadInput(f"a grouping has one 16-bit number for each of the frame's {self.records} records")
        return Grouping.of(np.frombuffer(data, dtype="<i2"))


def _file(path: Path) -> tuple[int, int, int]:
    """What tells a file from the one that took its place."""
    seen = path.stat()
    return seen.st_ino, seen.st_size, seen.st_mtime_ns


def book_key(agreement: Agreement, task: Mapping[str, Any]) -> str:
    """What a book is kept under."""
    return digest({"agreement": agreement.digest, "task": dict(task)})


def task_of(body: Mapping[str, Any], agreement: Agreement, provider: str) -> Task:
    """The task of a conversation, held against the agreement's columns.

    Raises:
        BadInput: if it cannot be read.
        ClauseRefused: if the agreement names no such target or id.
    """
    try:
        task = Task.from_dict(body)
        if not all(isinstance(each, str) for each in (task.target, task.id, task.positive)):
            raise TypeError
        canonical_bytes(json.loads(json.dumps(task.to_dict())))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BadInput("the task of a conversation cannot be read") from None
    columns = agreement.data_of(provider).columns
    for name, role in ((task.target, Role.target), (task.id, Role.identifier)):
        if name not in columns or columns[name].role is not role:
            raise ClauseRefused(
                f"the agreement has no column {name[:MOST_NAME]!r} of the role {role} in this data",
                clause=f"data.{provider}.columns",
            )
    values = columns[task.target].values
    if values is not None and task.positive not in [str(value) for value in values]:
        raise ClauseRefused(
            f"the target has no value {task.positive[:MOST_NAME]!r}",
            clause=f"data.{provider}.columns.{task.target[:MOST_NAME]}",
        )
    return task
