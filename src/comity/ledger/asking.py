"""Several charges decided together: each over the accounts as the ones before it leave them.

What stands in the ledger is what stands there when they are asked one after the other: `asked`, then
`charged` or `refused`, for each.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comity.errors import Refused
from comity.ledger.accounts import Account, Budget
from comity.ledger.costs import Cost
from comity.ledger.refusals import refusal_of_charge, refusal_of_queries, refused_body
from comity.ledger.replay import Accounts, Charge


@dataclass(frozen=True)
class Asking:
    """A charge that is asked for together with others.

    Attributes:
        account, cost, clause, limit, purpose, request: as `Ledger.charge` takes them.
        asked: the body of the `asked` entry: plan, purpose, recipient, clause and account.
        queries: how many of its clause's queries it counts as.
        allowed: how many queries the clause allows on the account; None: any number.
        refused: a no of the agreement, which is then recorded, and nothing is charged.
    """

    account: Account
    cost: Cost
    clause: str
    limit: Budget | None
    purpose: str
    request: str
    asked: Mapping[str, Any]
    queries: int = 1
    allowed: int | None = None
    refused: Refused | None = None


Answered = tuple[str, dict[str, Any], Refused | None]
"""The kind and body of an entry, and the refusal that it records, if it does."""


def decisions(
    askings: Sequence[Asking], accounts: Accounts, refusals: dict[int, Refused]
) -> Generator[tuple[str, dict[str, Any]], None, None]:
    """The entries of these askings, two for each; `accounts` moves on with every one that was taken.

    Args:
        refusals: takes, by place, those that are refused.
    """
    for at, asking in enumerate(askings):
        yield "asked", dict(asking.asked)
        kind, body, refusal = _decided(asking, accounts)
        if refusal is not None:
            refusals[at] = refusal
        yield kind, body


def _decided(asking: Asking, accounts: Accounts) -> Answered:
    refused = asking.refused or _over_queries(asking, accounts)
    if refused is not None:
        return "refused", refused_body(asking.asked, refused), refused
    charge = accounts.settled(Charge(asking.account, asking.cost, asking.clause, asking.limit))
    body = {**charge.to_dict(), "purpose": asking.purpose, "request": asking.request}
    if asking.queries != 1:
        body["queries"] = asking.queries
    obstacle = accounts.obstacle(charge)
    if obstacle is None:
        return "charged", body, None
    body["reason"] = f"the budget of {obstacle.name}"
    return "refused", body, refusal_of_charge(charge, obstacle.name, accounts)


def _over_queries(asking: Asking, accounts: Accounts) -> Refused | None:
    if asking.allowed is None:
        return None
    left = max(0, asking.allowed - accounts.queries(asking.account, asking.clause))
    if asking.queries <= left:
        return None
    return refusal_of_queries(asking.queries, left, asking.allowed, str(asking.asked["clause"]))
