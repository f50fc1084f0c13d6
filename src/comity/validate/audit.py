"""An audit: were the answers computed from the table that the provider had committed to?

Both sides sign the order for it (`comity.validate.audit_order`), which names the auditor and what is audited.
The provider opens table and secret to the auditor alone, the ML party hands over its questions and the
answers that it got. The auditor
builds the commitment again, recomputes every sum exactly, and asks of what is left over whether it can be the
noise that was promised: of the right law and scale, no larger, no smaller, centred, on its grid, and never
the same twice. The verdict that leaves is one word for each answer; figures stay with auditor and provider.

What it can show has a limit that it states: a provider that shifts an answer by less than the noise hides is
not found by one answer. Over many answers the sum of the shifts shows (`Audit.detectable`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from comity.errors import UsageError
from comity.ledger.commitments import Commitment, check_opened
from comity.validate.audit_order import DOES_NOT_FIT, FITS
from comity.validate.group_sums import GroupSum
from comity.validate.mechanism import NoisySums, Price, Sized, calibrate

FALSE_ALARM: Final = 1e-6
"""How often an audit of honest answers finds a fault, over all its answers together."""

_TELLING: Final = 64.0  # bits of noise from which on no two answers have the same by chance


class Summed(Sized, Protocol):
    """What an audit needs of a question: its exact sums, and what its noise is calibrated to."""

    def sums(self, labels: NDArray[Any], /) -> NDArray[np.int64]: ...


@dataclass(frozen=True, eq=False)
class GroupQuestion:
    """A question of a live conversation with the grouping that it names, for an audit.

    Attributes:
        question: what was asked.
        codes: (records,) group numbers of the frame, -1 for records in no group.
        groups: how many groups there are.
    """

    question: GroupSum
    codes: NDArray[Any]
    groups: int

    @property
    def dimensions(self) -> int:
        return self.question.values(self.groups)

    @property
    def l1(self) -> int:
        return self.question.sensitivity

    @property
    def l2(self) -> int:
        return self.question.sensitivity

    @property
    def largest_sum(self) -> int:
        return max(1, len(self.codes) * self.question.sensitivity)

    def sums(self, labels: NDArray[Any], /) -> NDArray[np.int64]:
        """(dimensions,) exact sums for (records,) labels 0 or 1. Private."""
        inside = self.codes >= 0
        codes = self.codes[inside].astype(np.int64)
        counted = np.bincount(codes, weights=labels[inside], minlength=self.groups)
        return self.question.exact(counted.astype(np.int64))


@dataclass(frozen=True, eq=False)
class AuditedAnswer:
    """A question and what was answered, as the ML party holds them.

    Attributes:
        plan: its name in the provider's ledger, from the receipt; the answers of one message share it.
        query: what was asked.
        sums: what was answered.
        price: what was charged for it, from the receipt.
        commitment: the digest that the receipt carries, None if it carries none.
    """

    plan: str
    query: Summed
    sums: NoisySums
    price: Price
    commitment: str | None


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        faults: by plan, in words; they may tell of private values and are for auditor and provider.
        checked: the plans looked at.
        detectable: the smallest shift of all sums of all answers alike, in standard deviations of their
            noise, that would be found with probability of at least 1/2.
    """

    faults: Mapping[str, tuple[str, ...]]
    checked: tuple[str, ...]
    detectable: float

    @property
    def ok(self) -> bool:
        return not self.faults

    def verdict(self) -> dict[str, str]:
        """What leaves: one word for each answer."""
        return {plan: DOES_NOT_FIT if plan in self.faults else FITS for plan in self.checked}

    def words(self) -> list[str]:
        """For the auditor and the provider's steward."""
        lines = [f"{len(self.checked)} answers were computed again from the committed table."]
        for plan, faults in self.faults.items():
            lines += [f"- {plan[:12]}: {fault}" for fault in faults]
        lines.append(
            "Every one fits." if self.ok else f"{len(self.faults)} of them do not fit what was committed to."
        )
        lines.append(
            f"A shift of all sums by {self.detectable:.2f} deviations of their noise would have shown."
        )
        return lines


def audit_answers(
    rows: Sequence[Mapping[str, object]],
    secret: bytes,
    commitment: Commitment,
    labels: NDArray[Any],
    answers: Iterable[AuditedAnswer],
    *,
    false_alarm: float = FALSE_ALARM,
) -> Audit:
    """Check answers against an opened table.

    Args:
        rows, secret: what the provider opened.
        commitment: what it had committed to, from its ledger.
        labels: (records,) what the questions are about, taken from `rows`, in the order of the frame.
        answers: each about all records of the frame.
        false_alarm: probability that honest answers fail, over all of them.

    Raises:
        VerificationFailed: if the opened table is not the committed one; nothing is looked at then.
        UsageError: without answers, or for a false alarm out of range.
    """
    if not 0 < false_alarm < 1:
        raise UsageError(f"a false alarm has a probability between 0 and 1, not {false_alarm}")
    check_opened(rows, secret, commitment)
    audited = list(answers)
    if not audited:
        raise UsageError("an audit needs at least one answer")
    looks = [_Look.at(answer, labels) for answer in audited]
    each = false_alarm / (len(looks) + 1)
    found: dict[str, list[str]] = {look.plan: [] for look in looks}
    for look in looks:
        found[look.plan] += look.faults(commitment, each)
    for plan in _repeated(looks):
        found[plan].append("its noise is that of another answer")
    residuals = np.concatenate([look.residuals for look in looks])
    centre, limit = float(residuals.sum()) / math.sqrt(residuals.size), _largest_lean(looks, each)
    if abs(centre) > limit:
        for faults in found.values():
            faults.append(f"all answers together lean to one side by {abs(centre):.1f} deviations")
    return Audit(
        faults={plan: tuple(dict.fromkeys(faults)) for plan, faults in found.items() if faults},
        checked=tuple(found),
        detectable=limit / math.sqrt(residuals.size),
    )


@dataclass(frozen=True, eq=False)
class _Look:
    """One answer and what is left of it without the exact sums, in standard deviations of its noise."""

    plan: str
    answer: AuditedAnswer
    residuals: NDArray[np.float64]
    on_grid: bool

    @classmethod
    def at(cls, answer: AuditedAnswer, labels: NDArray[Any]) -> Self:
        exact = np.asarray(answer.query.sums(labels), dtype=np.float64)
        values = np.asarray(answer.sums.values, dtype=np.float64)
        if values.shape != exact.shape:
            raise UsageError(f"the answer to {answer.plan[:12]} has another number of sums than its question")
        left = values - exact
        steps = np.ldexp(left, answer.sums.calibration.shift)
        return cls(answer.plan, answer, left / answer.sums.deviation, bool(np.all(steps == np.rint(steps))))

    def faults(self, commitment: Commitment, alarm: float) -> list[str]:
        answer, faults = self.answer, list[str]()
        if answer.commitment != commitment.digest.hex():
            faults.append("its receipt does not carry the commitment")
        due = calibrate(answer.query, answer.price)
        if answer.sums.calibration != due:
            faults.append(
                f"it states noise of scale {answer.sums.calibration.scale:g}, its price buys {due.scale:g}"
            )
        if not self.on_grid:
            faults.append("its noise is not on the grid that it states")
        return [*faults, *self._size_faults(alarm)]

    def _size_faults(self, alarm: float) -> list[str]:
        """Each sum by itself, and all of them together: too much noise, or too little."""
        count, law = self.residuals.size, self.answer.sums.calibration.law
        largest = float(np.abs(self.residuals).max(initial=0.0))
        if law == "gaussian":
            from scipy.stats import chi2

            limit = _normal_quantile(alarm / 4 / count)
            total = float(np.square(self.residuals).sum())
            low, high = chi2.ppf(alarm / 4, count), chi2.isf(alarm / 4, count)
        else:
            from scipy.stats import gamma

            scale = self.answer.sums.calibration.scale / self.answer.sums.deviation
            scale = math.ldexp(scale, -self.answer.sums.calibration.shift)
            # |X| > t has probability at most 2 e^(-t / scale) on the whole numbers, too
            limit = scale * math.log(8 * count / alarm)
            total = float(np.abs(self.residuals).sum()) / scale
            # |X| on the whole numbers lies, as a law, between |Y| rounded down and rounded up, Y continuous
            steps = count / self.answer.sums.calibration.scale
            low = max(0.0, float(gamma.ppf(alarm / 4, count)) - steps)
            high = float(gamma.isf(alarm / 4, count)) + steps
        faults: list[str] = []
        if largest > limit:
            faults.append(f"a sum is {largest:.1f} standard deviations off; noise stays below {limit:.1f}")
        if total < low:
            faults.append("there is less noise in it than it states")
        if total > high:
            faults.append("it is further from the table than its noise allows")
        return faults


def _repeated(looks: Sequence[_Look]) -> list[str]:
    """Answers that share their noise: the difference of two such answers would have none."""
    seen: dict[bytes, int] = {}
    again: list[str] = []
    for at, look in enumerate(looks):
        noise = np.ldexp(look.residuals * look.answer.sums.deviation, look.answer.sums.calibration.shift)
        key = np.rint(noise).tobytes()
        bits = look.residuals.size * math.log2(max(1.0, look.answer.sums.calibration.scale))
        if bits >= _TELLING and seen.setdefault(key, at) != at:
            again += [look.plan, looks[seen[key]].plan]
    return list(dict.fromkeys(again))


def _largest_lean(looks: Sequence[_Look], alarm: float) -> float:
    """How far the sum of all residuals, over the root of their number, strays with probability `alarm`.

    Small shifts add up where noise cancels.
    """
    if all(look.answer.sums.calibration.law == "gaussian" for look in looks):
        return _normal_quantile(alarm / 2)
    # Laplace tails are heavier: Bernstein's bound for sub-gamma variables of variance 1 and scale below 1
    count, exponent = sum(look.residuals.size for look in looks), math.log(2 / alarm)
    return math.sqrt(2 * exponent) + exponent / math.sqrt(count)


def _normal_quantile(tail: float) -> float:
    from scipy.stats import norm

    return float(norm.isf(tail))
