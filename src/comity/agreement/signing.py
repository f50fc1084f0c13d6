"""Whether an agreement is in force: signed by every party, unchanged since, and not expired."""

from __future__ import annotations

from datetime import UTC, date, datetime

from comity.agreement.terms import Agreement
from comity.errors import ClauseRefused, UsageError, VerificationFailed


def verify_agreement(agreement: Agreement, *, on: date) -> None:
    """Check that an agreement is in force on a day. The last day counts through its end in UTC.

    Args:
        on: a day in UTC (`datetime.now(UTC).date()`), or a moment with a time zone.

    Raises:
        VerificationFailed: a signature is missing, is by nobody of the parties, or does not fit the text.
        ClauseRefused: the agreement has expired.
        UsageError: `on` is a moment without a time zone.
    """
    check_signatures(agreement)
    check_unexpired(agreement, on)


def check_unexpired(agreement: Agreement, on: date) -> None:
    """Check that an agreement has not expired on a day; its signatures are not looked at.

    Raises:
        ClauseRefused: if it has.
        UsageError: `on` is a moment without a time zone.
    """
    day = day_in_utc(on)
    if day > agreement.expires:
        raise ClauseRefused(
            "the agreement has expired",
            clause="expires",
            asked=f"use on {day.isoformat()} (UTC)",
            would_pass=f"use until the end of {agreement.expires.isoformat()} in UTC, or a new agreement",
        )


def check_signatures(agreement: Agreement) -> None:
    """Check that every party has signed, nobody else has, and every signature fits.

    Raises:
        VerificationFailed: naming the clause and the party.
    """
    name = f"the agreement '{agreement.title}'"
    parties = {party.name for party in agreement.parties}
    signed = {entry.party for entry in agreement.signatures}
    strangers = [entry.party for entry in agreement.signatures if entry.party not in parties]
    if strangers:
        raise VerificationFailed(
            f"{name}, clause signatures: '{strangers[0]}' has signed but is not one of the parties"
        )
    missing = [party.name for party in agreement.parties if party.name not in signed]
    if missing:
        raise VerificationFailed(
            f"{name}, clause signatures: missing that of {', '.join(missing)}; every party has to sign"
        )
    for index in range(len(agreement.signatures)):
        check_signature(agreement, index)


def check_signature(agreement: Agreement, index: int) -> None:
    """Check one of the signatures, which may be the only one yet: parties sign one after the other.

    Raises:
        VerificationFailed: if it is by nobody of the parties, or does not fit.
    """
    entry = agreement.signatures[index]
    party = next((party for party in agreement.parties if party.name == entry.party), None)
    what = f"the agreement '{agreement.title}' (clause signatures.{index}, party '{entry.party}')"
    if party is None:
        raise VerificationFailed(f"the signature on {what} is by nobody of the parties")
    party.key.verify(entry.raw, agreement.signed_bytes(), what=what)


def day_in_utc(on: date) -> date:
    """The day that a day or a moment is on, in UTC.

    Raises:
        UsageError: for a moment without a time zone.
    """
    if not isinstance(on, datetime):
        return on
    if on.tzinfo is None:
        raise UsageError("an agreement expires at the end of a day in UTC: give the moment a time zone")
    return on.astimezone(UTC).date()
