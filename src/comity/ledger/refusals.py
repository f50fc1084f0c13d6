"""What a no says and how it is written down: asked, left, what would pass. Public facts only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from comity.errors import BudgetRefused, ClauseRefused, Refused
from comity.ledger.accounts import Account, Budget
from comity.ledger.implications import steps
from comity.ledger.replay import Accounts, Charge
from comity.ledger.totals import Remaining


def refusal_of_budget(account: Account, asked: Budget, accounts: Accounts) -> BudgetRefused:
    """An open account was to be given another budget."""
    existing = accounts.budget(account)
    left = accounts.remaining(account, accounts.terms(account))
    return BudgetRefused(
        f"account {account} is open with another budget, for its data's lifetime; "
        "a renewed agreement does not refill it",
        clause=f"account {account}",
        asked=_in_full(asked),
        left=left.words(),
        would_pass=None if existing is None else _in_full(existing),
    )


def refusal_of_charge(charge: Charge, obstacle: str, accounts: Accounts) -> BudgetRefused:
    """`obstacle` names the budget that does not admit the charge."""
    terms = charge.cost.unit, charge.cost.relation
    own = accounts.terms(charge.account)
    clause = charge.clause or f"account {charge.account}"
    asked = f"{charge.cost.words()} (per {terms[0]}, {terms[1]})"
    if steps(terms, own) is None:
        return BudgetRefused(
            f"a cost per {terms[0]}, {terms[1]}, says nothing about account {charge.account}, "
            f"which is kept per {own[0]}, {own[1]}",
            clause=clause,
            asked=asked,
            would_pass=f"a cost stated per {own[0]}, {own[1]}",
        )
    left = accounts.remaining(charge.account, terms, charge.clause, charge.limit)
    return BudgetRefused(
        f"the budget of {obstacle} does not cover it",
        clause=clause,
        asked=asked,
        left=left.words(),
        would_pass=_passing(charge, left),
    )


def refusal_of_queries(wanted: int, left: int, allowed: int, clause: str) -> ClauseRefused:
    """The queries that a clause allows on an account do not reach.

    Args:
        wanted, left, allowed: how many are asked for, are left of those allowed, and are allowed.
        clause: the architecture's.
    """
    return ClauseRefused(
        "the clause's queries do not reach" if left else "the clause's queries are used up",
        clause=f"{clause}.queries",
        asked="one more query" if wanted == 1 else f"{wanted:,} queries",
        left=f"{left:,} of {allowed:,}",
        would_pass=f"{left:,} queries or fewer" if left else None,
    )


def refused_body(asked: Mapping[str, Any], refusal: Refused) -> dict[str, Any]:
    """The `refused` entry of a no that is not a budget's; `asked` is the body of the `asked` entry."""
    named = {name: asked[name] for name in ("account", "plan", "recipient")}
    return {**named, "clause": refusal.clause, "reason": str(refusal)}


def _passing(charge: Charge, left: Remaining) -> str:
    ways: list[str] = []
    if left.epsilon > 0:
        ways.append(f"epsilon {left.epsilon:.10g} or less")
    if charge.cost.delta and left.epsilon > 0:
        ways[-1] += f" with delta {left.delta:g} or less"
    if left.gaussian < math.inf:
        ways.append(f"Gaussian noise of multiplier {_rounded_up(left.gaussian)} or more")
    return ", or ".join(ways) or "nothing more: it is spent, for the data's lifetime"


def _rounded_up(value: float) -> str:
    """Six digits, never below the value, so that what the message says does pass."""
    step = 10.0 ** (math.floor(math.log10(value)) - 5)
    return f"{math.ceil(value / step) * step:.6g}"


def _in_full(budget: Budget) -> str:
    return f"{budget.words()} ({budget.delta_additive or 0:g} of it additive; per {budget.relation})"
