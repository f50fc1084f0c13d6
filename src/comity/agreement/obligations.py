"""What has to be deleted, at whom and until when, once a party has withdrawn from an agreement.

The list follows from the agreement alone: which architectures it allows, who gets what under each, and the
retention terms of each provider's data. If a provider withdrew, it is about that provider's data; if the ML
party or the mediator did, about everybody's. Whether a recipient holds a thing, it knows itself: comity
deletes what it keeps (`comity.node.retention`), the rest is for people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from comity.agreement.clause import Clause
from comity.agreement.clauses import BlindMode, BlindValidationClause, ValidationClause, ValidationMode
from comity.agreement.data import DataTerms, Models
from comity.agreement.parties import PartyRole
from comity.agreement.terms import Agreement
from comity.agreement.withdrawal import Withdrawal


@dataclass(frozen=True)
class Obligation:
    """One thing to delete.

    Attributes:
        holder: the party that has to.
        what: in plain words.
        provider: whose data it is or was made of.
        until: the last day; None where the agreement says nothing and people have to settle it.
        clause: the place in the agreement.
    """

    holder: str
    what: str
    provider: str
    until: date | None
    clause: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "holder": self.holder,
            "what": self.what,
            "provider": self.provider,
            "until": None if self.until is None else self.until.isoformat(),
            "clause": self.clause,
        }

    def words(self) -> str:
        """One line about it."""
        if self.until is None:
            return f"{self.what}: the agreement does not say (clause {self.clause}); settle it between you"
        return f"{self.what}, until the end of {self.until.isoformat()} (clause {self.clause})"


_TABLE = "the released table of '{provider}', its manifest and copies of both"
_RECEIVED: Final[Mapping[str, Mapping[PartyRole, tuple[str, ...]]]] = {
    "plain": {PartyRole.ml_party: ("the table of '{provider}' and copies of it",)},
    "direct-release": {PartyRole.ml_party: (_TABLE,)},
    "mediated-release": {
        PartyRole.mediator: (
            "the protected table that '{provider}' sent, its tokens, and what was merged of it",
        ),
        PartyRole.ml_party: (
            "the merged table, whole: which of its rows are from '{provider}' is not to be seen",
        ),
    },
    "validation": {PartyRole.ml_party: ("the feedback on labels of '{provider}'",)},
    "blind-validation": {
        PartyRole.mediator: ("the padded words that '{provider}' uploaded, and stored answers made of them",),
        PartyRole.ml_party: ("the feedback on labels of '{provider}' and others together",),
    },
    "federated": {PartyRole.ml_party: ("the updates and sums that '{provider}' is part of",)},
    "synthetic": {PartyRole.ml_party: ("the synthetic table made of the data of '{provider}'",)},
    "clean-room": {PartyRole.ml_party: ("the results of programs run beside the data of '{provider}'",)},
}
_SOMETHING: Final = {PartyRole.ml_party: ("what was received of the data of '{provider}'",)}
_ENTRUSTED: Final = (
    "the labels that '{provider}' entrusted to the mediator, and stored answers made of them",
)
_HOSTED: Final = ("the model of the ML party that ran beside the data",)


def obligations(agreement: Agreement, withdrawal: Withdrawal) -> tuple[Obligation, ...]:
    """What has to be deleted because of a withdrawal, by holder."""
    withdrew = agreement.party(withdrawal.party)
    found = [
        obligation
        for index, data in enumerate(agreement.data)
        if withdrew.role is not PartyRole.provider or data.provider == withdrew.name
        for obligation in _of(agreement, data, f"data.{index}", withdrawal.date)
    ]
    unique = dict.fromkeys(found)
    return tuple(sorted(unique, key=lambda one: (one.holder, one.provider)))


def _of(agreement: Agreement, data: DataTerms, place: str, since: date) -> Iterator[Obligation]:
    terms = data.retention
    until = since + timedelta(days=0 if terms is None else terms.after_withdrawal_days)
    clause = f"{place}.retention"
    for what, holder in _received(agreement, data):
        yield Obligation(holder, what.format(provider=data.provider), data.provider, until, clause)
    for party in agreement.by_role(PartyRole.ml_party):
        models = f"models made with the data of '{data.provider}'"
        if terms is None:
            yield Obligation(party.name, models, data.provider, None, clause)
        elif terms.models is Models.delete:
            yield Obligation(party.name, models, data.provider, until, f"{clause}.models")


def _received(agreement: Agreement, data: DataTerms) -> Iterator[tuple[str, str]]:
    """What each party may have received of a provider's data, with its holder."""
    if data.seed_rows:
        for party in agreement.by_role(PartyRole.ml_party):
            yield f"the {data.seed_rows:,} seed rows that '{{provider}}' handed over", party.name
    if data.auditor is not None:
        yield "the table of '{provider}' as it was opened for an audit", data.auditor
    for clause in agreement.architectures:
        for role, things in _by_role(clause).items():
            for party in agreement.by_role(role):
                yield from ((what, party.name) for what in things)
        if isinstance(clause, ValidationClause) and clause.mode is ValidationMode.hosted:
            yield from ((what, data.provider) for what in _HOSTED)


def _by_role(clause: Clause) -> Mapping[PartyRole, tuple[str, ...]]:
    things = _RECEIVED.get(clause.architecture, _SOMETHING)
    if isinstance(clause, BlindValidationClause) and clause.mode is BlindMode.entrusted:
        return {**things, PartyRole.mediator: _ENTRUSTED}
    return things
