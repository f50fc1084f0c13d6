"""Computing audited answers again from an opened table: private, at the provider or the agreed auditor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.architectures.definition import Task
from comity.crypto.canonical import digest
from comity.errors import VerificationFailed
from comity.ledger.commitments import check_opened
from comity.node.audit_opening import OpenedTable
from comity.node.audit_reading import ReadAnswer
from comity.node.committed import rows_of
from comity.validate.audit import AuditedAnswer, Summed, audit_answers
from comity.validate.audit_order import DOES_NOT_FIT, FITS, AuditOrder

if TYPE_CHECKING:
    import pyarrow as pa

FALSE_ALARM: Final = 1e-9
"""How often an audit calls honest answers wrong, over all of them: an accusation between organisations."""


@dataclass(frozen=True)
class Recomputed:
    """What was found.

    Attributes:
        words: by plan, `fits` or `does not fit`: what leaves.
        faults: by plan, in words that may tell of private values; they stay.
        detectable: the smallest shift of all sums alike that would have shown with probability 1/2, in
            standard deviations of their noise; None where nothing could be computed.
    """

    words: Mapping[str, str]
    faults: Mapping[str, tuple[str, ...]]
    detectable: float | None


def recompute(answers: Sequence[ReadAnswer], order: AuditOrder, opened: OpenedTable) -> Recomputed:
    """Hold every answer against the opened table. Private.

    A table that is not the one committed to leaves no answer that fits.
    """
    faults: dict[str, list[str]] = {answer.plan: [] for answer in answers}
    if opened.commitment.digest.hex() != order.commitment:
        return _none_fits(faults, "its receipt carries another commitment than the provider's ledger")
    try:
        check_opened(rows_of(opened.table), opened.secret, opened.commitment)
    except VerificationFailed as error:
        return _none_fits(faults, str(error))
    targets: list[Task] = []
    sound: list[AuditedAnswer] = []
    first: dict[tuple[str, bytes], str] = {}
    repeats: list[tuple[str, str]] = []
    for answer in answers:
        fault = answer.fault or _out_of_place(answer, opened) or _about_other_records(answer, opened.table)
        if fault:
            faults[answer.plan].append(fault)
            continue
        if answer.task not in targets:
            targets.append(answer.task)
        at = targets.index(answer.task)
        for each, same in zip(answer.questions, answer.same, strict=True):
            about = same, each.sums.values.tobytes()
            if about in first:  # told twice it is one answer, whose noise is looked at once
                repeats.append((answer.plan, first[about]))
                continue
            first[about] = answer.plan
            sound.append(replace(each, query=_OfTarget(each.query, at)))
    detectable = None
    if sound:
        labels = np.column_stack([_labels(opened.table, task) for task in targets])
        rows = opened.table.to_pylist()
        audit = audit_answers(rows, opened.secret, opened.commitment, labels, sound, false_alarm=FALSE_ALARM)
        detectable = audit.detectable
        for plan, found in audit.faults.items():
            faults[plan] += found
    for plan, told in repeats:
        if plan != told and faults[told]:
            faults[plan].append(f"it repeats an answer of {told[:12]}, which does not fit")
    return Recomputed(
        words={plan: DOES_NOT_FIT if found else FITS for plan, found in faults.items()},
        faults={plan: tuple(found) for plan, found in faults.items() if found},
        detectable=detectable,
    )


@dataclass(frozen=True, eq=False)
class _OfTarget:
    """A question about one of several targets, whose labels are a column each."""

    query: Summed
    at: int

    @property
    def dimensions(self) -> int:
        return self.query.dimensions

    @property
    def l1(self) -> int:
        return self.query.l1

    @property
    def l2(self) -> int:
        return self.query.l2

    @property
    def largest_sum(self) -> int:
        return self.query.largest_sum

    def sums(self, labels: NDArray[Any], /) -> NDArray[np.int64]:
        return self.query.sums(np.ascontiguousarray(labels[:, self.at]))


def _out_of_place(answer: ReadAnswer, opened: OpenedTable) -> str:
    if answer.ledger != opened.ledger:
        return "its receipt is of another ledger than the commitment"
    if answer.sequence <= opened.sequence:
        return "it was released before the commitment was recorded"
    return ""


def _about_other_records(answer: ReadAnswer, table: pa.Table) -> str:
    """Both ends agreed on the ids of the frame before the first question."""
    if answer.task.id not in table.column_names or answer.task.target not in table.column_names:
        return "the committed table has no such target or id"
    if table.column(answer.task.id).null_count or table.column(answer.task.target).null_count:
        return "the committed table has rows without an id or a target"
    ids = sorted(table.column(answer.task.id).to_pylist())
    if digest(ids) != answer.frame or any(_rows(each) not in (None, len(ids)) for each in answer.questions):
        return "it is about other records than the committed table has"
    return ""


def _rows(answer: AuditedAnswer) -> int | None:
    codes = getattr(answer.query, "codes", None)
    return None if codes is None else len(codes)


def _labels(table: pa.Table, task: Task) -> NDArray[np.int8]:
    """(records,) 0 or 1, in the order of the ids, as the node and `validation` read them."""
    from comity.architectures.models import labels_of

    ids = table.column(task.id).to_pylist()
    order = np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
    return labels_of(table.select([task.id, task.target]), task)[order].astype(np.int8)


def _none_fits(faults: Mapping[str, Any], reason: str) -> Recomputed:
    return Recomputed(dict.fromkeys(faults, DOES_NOT_FIT), dict.fromkeys(faults, (reason,)), None)
