"""A ledger read like a story: who asked what under which clause, what it cost, what was left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from comity.errors import BadInput, VerificationFailed
from comity.ledger.entries import Entry
from comity.ledger.replay import Accounts, Charge, opened
from comity.ledger.state import founded
from comity.ledger.store import Place, Store


def story(path_or_url: Place) -> list[str]:
    """One line per entry, in order.

    Raises:
        BadInput: if there is no ledger there.
        VerificationFailed: naming the row that cannot be read; `verify_ledger` says more.
    """
    store = Store.open_copy(path_or_url)
    accounts = Accounts()
    lines: list[str] = []
    try:
        with store.reading() as connection:
            for row in store.rows(connection):
                entry = Entry.read(row)
                try:
                    accounts.apply(entry.kind, entry.body)
                    told = _TELLERS[entry.kind](entry, accounts)
                except BadInput as error:
                    raise VerificationFailed(f"seq {entry.seq}: {error}") from None
                lines.append(f"{entry.seq:>5}  {entry.time[:19].replace('T', ' ')}  {told}")
    finally:
        store.close()
    return lines


def _founded(entry: Entry, accounts: Accounts) -> str:
    owner, key = founded(entry)
    return f"{owner} founded this ledger; it is signed with {key}"


def _opened(entry: Entry, accounts: Accounts) -> str:
    account, budget = opened(entry.body)
    return f"account {account} was opened with {budget.words()}, per {budget.relation}"


def _charged(entry: Entry, accounts: Accounts) -> str:
    charge = Charge.from_dict(entry.body)
    what = "a release without differential privacy" if charge.without_dp else charge.cost.words()
    line = f"charged {what} to {charge.account}{_told(entry.body)}"
    if accounts.budget(charge.account) is None or charge.without_dp:
        return line
    left = accounts.remaining(charge.account, accounts.terms(charge.account))
    return f"{line}; left: {left.words()}"


def _asked(entry: Entry, accounts: Accounts) -> str:
    return f"{_who(entry.body)} asked{_told(entry.body)}"


def _refused(entry: Entry, accounts: Accounts) -> str:
    asked = ""
    if isinstance(entry.body.get("cost"), dict):
        asked = f" {Charge.from_dict(entry.body).cost.words()}"
    reason = _text(entry.body, "reason") or _text(entry.body, "message")
    return f"refused{asked}{_told(entry.body)}" + (f": {reason}" if reason else "")


def _withheld(entry: Entry, accounts: Accounts) -> str:
    reason = _text(entry.body, "reason")
    return f"withheld{_told(entry.body)}" + (f": {reason}" if reason else "") + "; it stays charged"


def _released(entry: Entry, accounts: Accounts) -> str:
    return f"released to {_who(entry.body)}{_told(entry.body)}"


def _note(entry: Entry, accounts: Accounts) -> str:
    if "drawn" in entry.body:
        return "took one of the answers that an earlier share has paid for; nothing more is charged"
    return f"note: {_text(entry.body, 'text') or ', '.join(sorted(entry.body))}"


_TELLERS: Final[Mapping[str, Callable[[Entry, Accounts], str]]] = {
    "founded": _founded,
    "opened": _opened,
    "charged": _charged,
    "asked": _asked,
    "refused": _refused,
    "withheld": _withheld,
    "released": _released,
    "note": _note,
}


def _told(body: Mapping[str, Any]) -> str:
    """Purpose, clause, and what asked for it, where the entry has them."""
    purpose, clause = _text(body, "purpose"), _text(body, "clause")
    request = _text(body, "request") or _text(body, "plan")
    return (
        (f" for '{purpose}'" if purpose else "")
        + (f" under {_short(clause)}" if clause else "")
        + (f" ({_short(request)})" if request else "")
    )


def _who(body: Mapping[str, Any]) -> str:
    return _text(body, "recipient") or _text(body, "party") or "somebody"


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    return str(value) if isinstance(value, str | int) else ""


def _short(text: str) -> str:
    """Digests cut to 12 digits."""
    return "/".join(f"{part[:12]}..." if len(part) == 64 else part for part in text.split("/"))
