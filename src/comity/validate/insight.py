"""The insight report: what the ML party says it learned, signed, and how it fares on later data.

A provider that answers questions gets something back that it can check: claims about groups ("among those
over 60 the share of positives is between .3 and .4"), about what a feature does, and about how good a model
is. Claims are written before the provider's later data exist, so they cannot be fitted to them. The scoring
runs at the provider, on rows that no answer was computed from; its figures are the provider's own and leave,
if at all, by the gate.

Intervals are Wilson's (1927) for shares and Newcombe's (1998, method 10) for their differences.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self, cast

import numpy as np
from numpy.typing import NDArray

from comity.crypto.canonical import canonical_bytes
from comity.crypto.keys import SigningKey, VerifyKey
from comity.errors import BadInput, UsageError

MOST_CLAIMS: Final = 1_000
_CONTEXT: Final = b"comity insight report 1\n"
_Z: Final = (
    2.5758293035489004  # of a 99% interval: of a thousand true claims about ten are called wrong by chance
)


class ClaimKind(StrEnum):
    """What a claim is about."""

    share = "share"
    """The share of positives in a group."""
    effect = "effect"
    """How much larger that share is in the group than outside it."""
    auc = "auc"
    """A model's area under the ROC curve in a group; needs the model's scores."""
    accuracy = "accuracy"
    """A model's accuracy at 1/2 in a group; needs the model's scores."""


@dataclass(frozen=True)
class Claim:
    """One thing learned: a quantity of a group lies in an interval.

    Attributes:
        kind: which quantity.
        where: by column, either a list of levels or a pair {"low": , "high": } (low <= value < high, None: no
            bound); all columns have to fit. Empty: everybody.
        low, high: the interval; shares, AUC and accuracy in [0, 1], effects in [-1, 1].
    """

    kind: ClaimKind
    where: Mapping[str, Any]
    low: float
    high: float

    def __post_init__(self) -> None:
        least = -1.0 if self.kind is ClaimKind.effect else 0.0
        if not (least <= self.low <= self.high <= 1.0):
            raise BadInput(f"a claim about {self.kind} lies in [{least:g}, 1], low before high")
        for column, condition in self.where.items():
            if not _is_levels(condition) and not _is_range(condition):
                raise BadInput(
                    f"the claim's condition on '{column}' is neither a list of levels nor low and high"
                )

    def words(self) -> str:
        group = " and ".join(f"{column} {_said(c)}" for column, c in self.where.items()) or "everybody"
        return f"{self.kind} among {group}: {self.low:g} to {self.high:g}"

    def to_dict(self) -> dict[str, Any]:
        return {"kind": str(self.kind), "where": dict(self.where), "low": self.low, "high": self.high}

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Read the JSON form.

        Raises:
            BadInput: if it is no claim.
        """
        names = {"kind", "where", "low", "high"}
        if not isinstance(document, Mapping) or set(cast("Mapping[str, Any]", document)) != names:
            raise BadInput("a claim has kind, where, low and high")
        fields = cast("Mapping[str, Any]", document)
        if fields["kind"] not in set(ClaimKind) or not isinstance(fields["where"], Mapping):
            raise BadInput(f"a claim's kind is one of {', '.join(ClaimKind)}, its where an object")
        numbers = [fields["low"], fields["high"]]
        if not all(type(n) in (int, float) and math.isfinite(n) for n in numbers):
            raise BadInput("a claim's low and high are numbers")
        where = dict(cast("Mapping[str, Any]", fields["where"]))
        return cls(ClaimKind(fields["kind"]), where, float(numbers[0]), float(numbers[1]))


@dataclass(frozen=True)
class InsightReport:
    """What a party learned under an agreement.

    Attributes:
        party: who learned it.
        agreement: the agreement's digest.
        time: when it was written, UTC (ISO 8601).
        claims: what was learned.
        signature: the party's, over all of it.
    """

    party: str
    agreement: str
    time: str
    claims: tuple[Claim, ...]
    signature: bytes

    @classmethod
    def sign(cls, key: SigningKey, *, party: str, agreement: str, time: str, claims: Sequence[Claim]) -> Self:
        """Write one.

        Raises:
            BadInput: without claims, or with too many.
        """
        if not 1 <= len(claims) <= MOST_CLAIMS:
            raise BadInput(f"an insight report has between 1 and {MOST_CLAIMS} claims, not {len(claims)}")
        signature = key.sign(_signed(party, agreement, time, claims))
        return cls(party, agreement, time, tuple(claims), signature)

    def verify(self, key: VerifyKey) -> None:
        """Check the signature.

        Raises:
            VerificationFailed: if it does not verify.
        """
        message = _signed(self.party, self.agreement, self.time, self.claims)
        key.verify(self.signature, message, what=f"the insight report of '{self.party}'")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            **_facts(self.party, self.agreement, self.time, self.claims),
            "signature": self.signature.hex(),
        }

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Read the JSON form; the signature is not checked here.

        Raises:
            BadInput: if it is no insight report.
        """
        names = {"party", "agreement", "time", "claims", "signature"}
        if not isinstance(document, Mapping) or set(cast("Mapping[str, Any]", document)) != names:
            raise BadInput(f"an insight report has {', '.join(sorted(names))} and nothing else")
        fields = cast("Mapping[str, Any]", document)
        claims = fields["claims"]
        if not isinstance(claims, list) or not 1 <= len(claims) <= MOST_CLAIMS:
            raise BadInput(f"an insight report has between 1 and {MOST_CLAIMS} claims")
        texts = [fields[name] for name in ("party", "agreement", "time", "signature")]
        try:
            signature = bytes.fromhex(texts[3])
        except (TypeError, ValueError):
            raise BadInput("an insight report's signature is hexadecimal") from None
        if not all(isinstance(text, str) for text in texts):
            raise BadInput("an insight report's party, agreement and time are text")
        return cls(texts[0], texts[1], texts[2], tuple(Claim.from_dict(one) for one in claims), signature)


class Outcome(StrEnum):
    """How a claim fared."""

    holds = "holds"
    wrong = "wrong"
    untested = "untested"


@dataclass(frozen=True)
class Scored:
    """A claim against later data: for the provider only.

    Attributes:
        claim: what was claimed.
        outcome: `wrong` where the observed 99% interval and the claimed one do not meet; `untested` where the
            group is too small, a column is missing or has no numbers to bound, or scores would be needed.
        rows: how many rows the group has.
        observed: the quantity there, with its interval; None if untested.
    """

    claim: Claim
    outcome: Outcome
    rows: int
    observed: tuple[float, float, float] | None

    def words(self) -> str:
        seen = ""
        if self.observed is not None:
            value, low, high = self.observed
            seen = f"; seen {value:.3f} ({low:.3f} to {high:.3f}) in {self.rows} rows"
        return f"{self.outcome}: {self.claim.words()}{seen}"


def score_report(
    report: InsightReport,
    columns: Mapping[str, NDArray[Any]],
    labels: NDArray[Any],
    *,
    scores: NDArray[Any] | None = None,
    minimum: int = 30,
) -> list[Scored]:
    """Hold a report's claims against later data.

    Args:
        report: its signature verified.
        columns: (rows,) arrays by column, of rows that no answer was computed from.
        labels: (rows,) 0 or 1.
        scores: (rows,) the model's probabilities, for claims about the model.
        minimum: rows that a group needs to say anything.

    Raises:
        UsageError: if the arrays are of different lengths, or labels are not 0 and 1.
    """
    labels = np.asarray(labels)
    rows = len(labels)
    lengths = {len(values) for values in columns.values()} | ({len(scores)} if scores is not None else set())
    if lengths - {rows}:
        raise UsageError(
            f"columns, labels and scores have {sorted(lengths | {rows})} rows; they need the same"
        )
    if not np.isin(labels, (0, 1)).all():
        raise UsageError("labels are 0 or 1")
    return [_scored(claim, columns, labels.astype(np.int64), scores, minimum) for claim in report.claims]


def _scored(
    claim: Claim,
    columns: Mapping[str, NDArray[Any]],
    labels: NDArray[np.int64],
    scores: NDArray[Any] | None,
    minimum: int,
) -> Scored:
    missing = set(claim.where) - set(columns)
    needs_scores = claim.kind in (ClaimKind.auc, ClaimKind.accuracy)
    if missing or (needs_scores and scores is None) or not _comparable(claim.where, columns):
        return Scored(claim, Outcome.untested, 0, None)
    group = _group(claim.where, columns, len(labels))
    count = int(group.sum())
    observed = _observed(claim.kind, group, labels, scores, minimum)
    if observed is None:
        return Scored(claim, Outcome.untested, count, None)
    meets = observed[1] <= claim.high and claim.low <= observed[2]
    return Scored(claim, Outcome.holds if meets else Outcome.wrong, count, observed)


def _comparable(where: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]) -> bool:
    """Whether bounds are about numbers."""
    return all(
        _is_levels(condition) or columns[name].dtype.kind in "iufb" for name, condition in where.items()
    )


def _group(where: Mapping[str, Any], columns: Mapping[str, NDArray[Any]], rows: int) -> NDArray[np.bool_]:
    group = np.ones(rows, dtype=bool)
    for column, condition in where.items():
        values = np.asarray(columns[column])
        if _is_levels(condition):
            group &= np.isin(values.astype(str), [str(level) for level in condition])
            continue
        numbers = values.astype(np.float64)
        low, high = condition["low"], condition["high"]
        group &= (numbers >= (-math.inf if low is None else low)) & (
            numbers < (math.inf if high is None else high)
        )
    return group


def _observed(
    kind: ClaimKind,
    group: NDArray[np.bool_],
    labels: NDArray[np.int64],
    scores: NDArray[Any] | None,
    minimum: int,
) -> tuple[float, float, float] | None:
    """The quantity with its interval; None where there are too few rows."""
    inside = labels[group]
    if len(inside) < minimum:
        return None
    if kind is ClaimKind.share:
        return _share(int(inside.sum()), len(inside))
    if kind is ClaimKind.effect:
        outside = labels[~group]
        return None if len(outside) < minimum else _difference(inside, outside)
    if scores is None:
        return None
    told = np.asarray(scores, dtype=np.float64)[group]
    if kind is ClaimKind.accuracy:
        return _share(int(((told >= 0.5) == (inside == 1)).sum()), len(inside))
    return _auc(told, inside, minimum)


def _share(positives: int, count: int) -> tuple[float, float, float]:
    """Wilson's score interval."""
    share, z = positives / count, _Z
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return share, max(0.0, middle - half), min(1.0, middle + half)


def _difference(inside: NDArray[np.int64], outside: NDArray[np.int64]) -> tuple[float, float, float]:
    """Newcombe's interval for a difference of two shares, from Wilson's for each."""
    one, low_1, high_1 = _share(int(inside.sum()), len(inside))
    two, low_2, high_2 = _share(int(outside.sum()), len(outside))
    below, above = math.hypot(one - low_1, high_2 - two), math.hypot(high_1 - one, two - low_2)
    return one - two, one - two - below, one - two + above


def _auc(
    scores: NDArray[np.float64], labels: NDArray[np.int64], least: int
) -> tuple[float, float, float] | None:
    """Hanley and McNeil's (1982) interval around the rank statistic."""
    positives, negatives = int(labels.sum()), int(len(labels) - labels.sum())
    if min(positives, negatives) < max(1, least // 3):
        return None
    order = np.unique(scores, return_inverse=True)[1]
    counts = np.bincount(order)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[order]
    auc = float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))
    q1, q2 = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    variance = auc * (1 - auc) + (positives - 1) * (q1 - auc * auc) + (negatives - 1) * (q2 - auc * auc)
    half = _Z * math.sqrt(max(variance, 0.0) / (positives * negatives))
    return auc, max(0.0, auc - half), min(1.0, auc + half)


def _is_levels(condition: object) -> bool:
    return isinstance(condition, list | tuple) and all(type(c) in (str, int, bool) for c in condition)


def _is_range(condition: object) -> bool:
    if not isinstance(condition, Mapping) or set(cast("Mapping[str, Any]", condition)) != {"low", "high"}:
        return False
    bounds = cast("Mapping[str, Any]", condition).values()
    return all(b is None or (type(b) in (int, float) and math.isfinite(b)) for b in bounds)


def _said(condition: Any) -> str:
    if _is_levels(condition):
        return "in " + ", ".join(str(level) for level in condition)
    low, high = condition["low"], condition["high"]
    parts = [f"from {low:g}"] if low is not None else []
    return " ".join([*parts, *([f"below {high:g}"] if high is not None else [])]) or "any"


def _facts(party: str, agreement: str, time: str, claims: Sequence[Claim]) -> dict[str, Any]:
    listed = [claim.to_dict() for claim in claims]
    return {"party": party, "agreement": agreement, "time": time, "claims": listed}


def _signed(party: str, agreement: str, time: str, claims: Sequence[Claim]) -> bytes:
    return _CONTEXT + canonical_bytes(_facts(party, agreement, time, claims))
