"""Admission: what the mediator lets pass of the questions about one upload, from public facts only.

It knows the questions' groups, never a label. It holds, over all answered questions together, to the number
of groups that one record may be in, to the smallest group, and to the monitor's rules.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, ClauseRefused
from comity.validate.blind_query import groupings, groups_per_record, weighings
from comity.validate.monitor import Monitor
from comity.validate.numbering import counted, highest
from comity.validate.queries import Query


class Admission:
    """Watches the questions about one upload. Thread-safe.

    Args:
        records: of the frame.
        most: how many groups a record may be in, over all answers.
        minimum: the smallest group; None for no monitor.
        clause: the clause that refusals name.
    """

    def __init__(self, records: int, *, most: int, minimum: int | None, clause: str) -> None:
        self._records = records
        self._most = most
        self._left = most
        self._minimum = minimum
        self._clause = clause
        self._monitor = (
            None
            if minimum is None
            else Monitor(range(records), minimum=minimum, clause=f"{clause}.minimum_group")
        )
        self._waiting: Sequence[NDArray[Any]] = ()
        self._fresh = True
        self._lock = threading.Lock()

    def admit(self, query: Query) -> None:
        """Take a question, or refuse it; a refused one leaves no trace.

        Raises:
            BadInput: if it is about another number of records.
            ClauseRefused: naming what it breaks.
        """
        if query.rows != self._records:
            raise BadInput(f"a question is about {query.rows} records where {self._records} are agreed")
        asked = groups_per_record(query)
        with self._lock:
            if asked > self._left:
                raise ClauseRefused(
                    "the question puts every record into more groups than the agreement allows",
                    clause=f"{self._clause}.groups_per_record",
                    asked=str(asked),
                    left=f"{self._left} of {self._most}",
                    would_pass=f"{self._left} or less",
                )
            self._require_weight(query)
            if self._monitor is not None:
                self._watch(self._monitor, groupings(query))
            self._left -= asked

    def _watch(self, monitor: Monitor, new: Sequence[NDArray[Any]]) -> None:
        """Put groupings before the monitor; a first one alone determines its own groups and no more, so that
        only its sizes matter until there is another."""
        if self._fresh and len(new) <= 1:
            for grouping in new:
                self._require_sizes(counted(grouping, highest(grouping) + 1))
            self._waiting, self._fresh = new, not new
            return
        if self._waiting:
            monitor.admit_all(self._waiting)
            self._waiting = ()
        monitor.admit_all(new)
        self._fresh = False

    def _require_sizes(self, counts: NDArray[np.int64]) -> None:
        small = counts[(counts > 0) & (counts < (self._minimum or 1))]
        if len(small):
            raise ClauseRefused(
                f"{len(small)} of {np.count_nonzero(counts)} groups have fewer than {self._minimum} records",
                clause=f"{self._clause}.minimum_group",
                asked=f"a group of {small.min()}",
                would_pass=f"groups of {self._minimum} records or more",
            )

    def _require_weight(self, query: Query) -> None:
        """A weighted sum tells of as many records as its largest weight goes into all of them."""
        for weights in weighings(query):
            sizes = np.abs(weights.astype(np.float64))
            if self._minimum is not None and sizes.sum() < self._minimum * sizes.max(initial=0.0):
                raise ClauseRefused(
                    "a weighted sum tells mostly of a few records",
                    clause=f"{self._clause}.minimum_group",
                    would_pass=f"weights that add up to {self._minimum} times the largest, or more",
                )
