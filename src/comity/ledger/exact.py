"""What a ledger says of releases without differential privacy: they do not compose, so they are counted.

An entry is about an account's data if it names the provider and lineage, whatever the privacy unit, and be it
among several accounts that one release was made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from comity.ledger.accounts import Account
from comity.ledger.entries import Entry
from comity.ledger.ledger import Ledger

_WITHOUT_DP = "none"


def attempts(ledger: Ledger, account: Account, *, before: int) -> list[Entry]:
    """The charges of releases without differential privacy of this data, before entry `before`."""
    return [
        entry
        for entry in ledger.events("charged")
        if entry.seq < before
        and entry.body["cost"]["mechanism"] == _WITHOUT_DP
        and _about(entry.body, account)
    ]


def standing_attempts(ledger: Ledger, account: Account, *, before: int) -> set[str]:
    """The plans that were charged for such a release and were not withheld afterwards."""
    withheld = [entry for entry in ledger.events("withheld") if _about(entry.body, account)]
    return {
        entry.body["request"]
        for entry in attempts(ledger, account, before=before)
        if not any(w.seq > entry.seq and w.body["plan"] == entry.body["request"] for w in withheld)
    }


def exact_outcomes(ledger: Ledger, accounts: Iterable[Account]) -> set[str]:
    """Digests of what was released without differential privacy of the data of any of the accounts."""
    about = list(accounts)
    return {
        entry.body["outcome"]
        for entry in ledger.events("released")
        if entry.body["exact"] and any(_about(entry.body, account) for account in about)
    }


def _about(body: Mapping[str, Any], account: Account) -> bool:
    named = [body.get("account"), *body.get("also", ())]
    start = f"{account.provider}/{account.lineage}/"
    return any(isinstance(each, str) and each.startswith(start) for each in named)
