"""How an agreement stands on a day, given what else is known: in force, or why not.

* It is **withdrawn** once any of its parties has signed a withdrawal, whatever the day.
* It is **replaced** once another agreement names it (`replaces`) and is signed by all its own parties, among
  which are all parties of the replaced one with the same keys: nobody outside can end what others agreed, and
  nobody inside without the rest. (Who wants to leave, withdraws.) Replaced is for good, even when the newer
  one has expired or was withdrawn.
* It is **expired** after its last day, in UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from comity.agreement.signing import check_signatures, day_in_utc
from comity.agreement.terms import Agreement
from comity.agreement.withdrawal import Withdrawal
from comity.errors import ClauseRefused, ComityError, VerificationFailed


class State(StrEnum):
    """What an agreement can be."""

    in_force = "in force"
    unsigned = "not signed by all"
    expired = "expired"
    replaced = "replaced"
    withdrawn = "withdrawn"


@dataclass(frozen=True)
class Standing:
    """How an agreement stands.

    Attributes:
        state: in force, or why not.
        words: one sentence about it.
        clause: the clause that a refusal cites; empty where it is in force.
        by: the digest of the agreement that replaced it, or the party that withdrew; else empty.
        would_pass: what would be allowed instead.
    """

    state: State
    words: str
    clause: str = ""
    by: str = ""
    would_pass: str | None = None

    @property
    def in_force(self) -> bool:
        return self.state is State.in_force

    def check(self) -> None:
        """Do nothing if the agreement is in force.

        Raises:
            VerificationFailed: if signatures are missing or do not fit.
            ClauseRefused: if it is withdrawn, replaced or expired, citing the clause.
        """
        if self.state is State.unsigned:
            raise VerificationFailed(self.words)
        if self.state is not State.in_force:
            raise ClauseRefused(self.words, clause=self.clause, would_pass=self.would_pass)


def standing(
    agreement: Agreement,
    others: Iterable[Agreement],
    withdrawals: Iterable[Withdrawal],
    on: date,
) -> Standing:
    """How an agreement stands on a day.

    Args:
        others: all other agreements known; those that do not name this one do not count.
        withdrawals: all withdrawals known; those from other agreements, and those whose signature is not that
            of a party of this one, do not count.
        on: a day in UTC, or a moment with a time zone.
    """
    try:
        check_signatures(agreement)
    except VerificationFailed as error:
        return Standing(State.unsigned, str(error), clause="signatures")
    for withdrawal in withdrawals:
        if withdrawal.agreement == agreement.digest and _by_a_party(withdrawal, agreement):
            return Standing(
                State.withdrawn,
                f"party '{withdrawal.party}' withdrew from the agreement on {withdrawal.date.isoformat()}",
                clause=f"parties.{withdrawal.party}",
                by=withdrawal.party,
                would_pass=f"a new agreement, without '{withdrawal.party}' or signed by it anew",
            )
    newer = sorted((other for other in others if replaces(other, agreement)), key=lambda other: other.digest)
    if newer:
        return Standing(
            State.replaced,
            f"the agreement was replaced by '{newer[0].title}' ({newer[0].digest})",
            clause="replaces",
            by=newer[0].digest,
            would_pass=f"the agreement {newer[0].digest}",
        )
    last = agreement.expires.isoformat()
    if day_in_utc(on) > agreement.expires:
        return Standing(
            State.expired,
            f"the agreement expired at the end of {last} (UTC)",
            clause="expires",
            would_pass="a new agreement",
        )
    return Standing(State.in_force, f"the agreement is in force until the end of {last} (UTC)")


def replaces(newer: Agreement, older: Agreement) -> bool:
    """Whether one agreement has replaced another: named by it, and signed by all parties of both."""
    if newer.replaces != older.digest:
        return False
    keys = {party.name: party.key for party in newer.parties}
    if any(keys.get(party.name) != party.key for party in older.parties):
        return False
    try:
        check_signatures(newer)
    except VerificationFailed:
        return False
    return True


def _by_a_party(withdrawal: Withdrawal, agreement: Agreement) -> bool:
    try:
        withdrawal.verify(agreement)
    except ComityError:
        return False
    return True
