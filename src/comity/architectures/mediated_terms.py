"""What the parties of `mediated-release` go by: the clause's limits, topics, names of columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from comity.agreement.clauses import MediatedReleaseClause
from comity.crypto.canonical import digest

if TYPE_CHECKING:
    from comity.agreement.clauses import Reference
    from comity.architectures.definition import Seat

NAME: Final = "mediated-release"
ASK: Final = "mediated-release"
TABLE: Final = "protected-table"
RELEASE: Final = "release"

ORIGIN: Final = "comity: origin"
"""The column that holds the provider's number at the mediator; it never leaves."""

LEAST_PROVIDERS: Final = 3
SUPPRESSION: Final = 0.05
ORIGIN_T: Final = 0.1
ORIGIN_L: Final = 2


def token_column(party: str) -> str:
    """The column of tokens that link with this party's."""
    return f"comity: token for {party}"


@dataclass(frozen=True)
class Terms:
    """The clause's figures; k is the run's, which may be stricter.

    Without a clause they are those of a pilot: the gate refuses before anything is made.
    """

    k: int
    suppression: float
    l: int | None  # noqa: E741  # the model's own name
    t: float | None
    origin_t: float
    origin_l: int | None
    linked: bool
    reference: Reference | None

    @classmethod
    def of(cls, seat: Seat) -> Self:
        clause = seat.agreement.architectures.mediated_release or MediatedReleaseClause(
            k=2, suppression=SUPPRESSION, origin_t=ORIGIN_T
        )
        return cls(
            k=seat.options.k,
            suppression=clause.suppression,
            l=clause.l,
            t=clause.t,
            origin_t=clause.origin_t,
            origin_l=clause.origin_l,
            linked=clause.linked_by is not None,
            reference=clause.reference,
        )

    @property
    def asks(self) -> dict[str, Any]:
        """What a plan asks of the clause."""
        return {
            "k": self.k,
            "suppression": self.suppression,
            "l": self.l,
            "t": self.t,
            "origin_t": self.origin_t,
            "origin_l": self.origin_l,
        }

    def request(self, seat: Seat) -> dict[str, Any]:
        """The public facts that make one release of this another one."""
        return {
            "columns": [*seat.task.features, seat.task.target],
            "terms": {name: value for name, value in self.asks.items() if value is not None},
            "linked": self.linked,
            "reference": None if self.reference is None else self.reference.to_dict(),
        }

    @property
    def promise(self) -> str:
        """What the release is to satisfy, in public words."""
        models = [f"k-anonymous with k = {self.k}"]
        models += [] if self.l is None else [f"l-diverse with l = {self.l}"]
        models += [] if self.t is None else [f"t-close with t = {self.t:g}"]
        return ", ".join(models)


def mediator_of(seat: Seat) -> str:
    """The mediator of the agreement."""
    return seat.agreement.by_role("mediator")[0].name


def candidate_folder(seat: Seat, request: Mapping[str, Any]) -> Path:
    """Where this party keeps its candidate: by what was asked and under which agreement."""
    asked = digest({"request": dict(request), "agreement": seat.agreement.digest})
    return seat.folder / "candidates" / asked[:32]


def sealing_purpose(seat: Seat, provider: str, what: str) -> str:
    """What a sealed text is for: it opens in its own place only."""
    return f"{NAME} under {seat.agreement.digest}: {what} of {provider}"
