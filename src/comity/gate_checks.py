"""What the ledger has to say to a plan before it may run: queries left, attempts left, answers paid for.

Claims are appended before they are counted: entries have one order that every process sees, so of several at
once only the first ones pass.
"""

from __future__ import annotations

from typing import Final

from comity.agreement import Agreement
from comity.errors import ClauseRefused, ComityError
from comity.ledger import Account, Ledger
from comity.ledger.exact import attempts, standing_attempts
from comity.ledger.refusals import refusal_of_queries
from comity.plan import Outcome, Plan

MAX_ATTEMPTS: Final = 3


def check_queries(plan: Plan, agreement: Agreement, ledger: Ledger, clause: str, before: int) -> None:
    """How many queries the clause allows on this account; those charged before entry `before` count."""
    allowed = getattr(agreement.clause(plan.architecture), "queries", None)
    if allowed is None:
        return
    # the digest once: it is made of the whole agreement each time it is asked for
    charged, wanted = ledger.events("charged", account=plan.account), f"{agreement.digest}/{clause}"
    asked = sum(
        entry.body.get("queries", 1)
        for entry in charged
        if entry.seq < before and entry.body["clause"] == wanted
    )
    if asked + plan.queries > allowed:
        raise refusal_of_queries(plan.queries, max(0, allowed - asked), allowed, clause)


def draw(plan: Plan, agreement: Agreement, ledger: Ledger, clause: str) -> None:
    """Take one of the answers that a share has paid for, which stays taken; a repeated plan takes no second.

    Raises:
        ClauseRefused: if no such share left under this agreement and account, or its answers are used up.
        ComityError: if the answer has a check although what was paid for has differential privacy.
    """
    account = str(plan.account)
    share = next(
        (
            entry.body
            for entry in ledger.events("released", account=plan.account)
            if (entry.body["plan"], entry.body["clause"]) == (plan.draws_on, clause)
            and entry.body.get("agreement") == agreement.digest
        ),
        None,
    )
    if share is None:
        raise ClauseRefused(
            "nothing has left under this agreement that pays for this answer",
            clause=clause,
            would_pass="an answer after the share that it opens",
        )
    if plan.check is not None and not share["exact"]:
        raise ComityError(
            f"'{plan.purpose}' is differentially private: a check that reads its data would leak"
        )
    claim = ledger.append("note", {"drawn": plan.draws_on, "plan": plan.name, "account": account})
    # claims have one order that everybody sees: of several at once, the first ones pass
    taken: set[str] = set()
    for entry in ledger.events("note", account=plan.account):
        first = len(taken) < share["opens"]  # one that was refused took nothing
        if first and entry.seq < claim.seq and entry.body.get("drawn") == plan.draws_on:
            taken.add(entry.body["plan"])
    if plan.name not in taken and len(taken) >= share["opens"]:
        raise ClauseRefused(
            "the answers that the share has paid for are used up",
            clause=f"{clause}.queries",
            asked="one more answer",
            left=f"0 of {share['opens']}",
        )


def claim_own(plan: Plan, agreement: Agreement, ledger: Ledger, clause: str) -> None:
    """Count a share that nobody but its sender can open against the clause's queries; it costs no budget.

    Raises:
        ClauseRefused: if the clause's queries do not reach.
    """
    wanted, account = f"{agreement.digest}/{clause}", str(plan.account)
    claim = ledger.append(
        "note", {"own_key": wanted, "plan": plan.name, "account": account, "queries": plan.queries}
    )
    allowed = getattr(agreement.clause(plan.architecture), "queries", None)
    if allowed is None:
        return
    asked = 0
    counted: dict[str, int] = {}
    for entry in ledger.events("note", account=plan.account):
        if entry.seq >= claim.seq or entry.body.get("own_key") != wanted:
            continue
        name, more = entry.body["plan"], int(entry.body["queries"])
        further = max(0, more - counted.get(name, 0))  # the same share again takes nothing more
        if asked + further <= allowed:  # one that was refused took nothing
            asked += further
            counted[name] = max(more, counted.get(name, 0))
    further = max(0, plan.queries - counted.get(plan.name, 0))
    if asked + further > allowed:
        raise refusal_of_queries(further, max(0, allowed - asked), allowed, clause)


def check_redrawn(plan: Plan, outcome: Outcome, ledger: Ledger, clause: str) -> None:
    """An answer that a share has paid for is given once; asked again it is repeated byte for byte."""
    released = ledger.events("released", account=plan.account)
    if any(e.body["plan"] == plan.name and e.body["outcome"] != outcome.digest for e in released):
        raise ClauseRefused("what was drawn for this answer is gone: not drawn a second time", clause=clause)


def check_attempt(
    plan: Plan, account: Account, agreement: Agreement, ledger: Ledger, clause: str, before: int
) -> None:
    """One release without differential privacy per lineage, and few attempts at it.

    The first plan that was charged has the lineage to itself, unless its release was withheld.
    """
    others = standing_attempts(ledger, account, before=before) - {plan.name}
    if others:
        raise ClauseRefused(
            "this data has been released once without differential privacy, and two such releases "
            "together can reveal what neither does",
            clause=clause,
            asked="another release of the same lineage",
            left="none",
            would_pass="the release already made, asked for again, or one with differential privacy",
        )
    allowed = min(MAX_ATTEMPTS, getattr(agreement.clause(plan.architecture), "attempts", MAX_ATTEMPTS))
    if len(attempts(ledger, account, before=before)) >= allowed:
        raise ClauseRefused(
            "every attempt at a release without differential privacy tells something, and they are used up",
            clause=f"{clause}.attempts",
            asked="one more attempt",
            left=f"0 of {allowed}",
            would_pass="a release with differential privacy",
        )
