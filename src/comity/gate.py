"""The one door out of a provider: plan + agreement + ledger -> release, or a refusal, or withheld.

The order is PRIVACY.md's: check agreement and account -> charge durably -> run -> (only for releases
without differential privacy) check the outcome -> release or withhold. A charge is on disk before a
private byte is read and is never refunded, so a crash loses budget and never privacy.

Releases without differential privacy do not compose, so the gate lets one of them out per dataset
lineage, for all recipients; asked again for the same thing it repeats it, byte for byte, or refuses. A
withheld one counts as an attempt, and an agreement allows few of them, since each refusal tells something.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from comity.agreement import Agreement, verify_agreement
from comity.errors import BudgetRefused, ClauseRefused, ComityError, Refused, Withheld
from comity.ledger import Account, Budget, Cost, Entry, Ledger, PrivacyUnit, Relation, without_dp
from comity.plan import Outcome, Plan, Receipt, Refusal, Release, Share

MAX_ATTEMPTS = 3
_WITHOUT_DP = "none"


def execute(plan: Plan, agreement: Agreement, ledger: Ledger) -> Release | Share:
    """Take a plan through agreement and ledger.

    Returns:
        What may now be sent to `plan.recipient` and to nobody else.

    Raises:
        ClauseRefused: if a clause forbids it; nothing was charged, nothing was read.
        BudgetRefused: if the account, or the clause's own limit, has too little left; nothing was read.
        Withheld: if the outcome failed its check; it stays charged, and the reason is the steward's alone.
    """
    clause = f"architectures.{plan.architecture}"
    ledger.append("asked", _asked(plan, clause))
    try:
        _check_agreement(plan, agreement)
        if plan.draws_on is not None:
            _draw(plan, agreement, ledger, clause)
            outcome = _run(plan)
            _check_redrawn(plan, outcome, ledger, clause)
            return _issue(plan, outcome, agreement, ledger, clause)
        _check_queries(plan, agreement, ledger, clause, ledger.size)
        if plan.cost is None:
            _check_attempt(plan, agreement, ledger, clause, ledger.size)
            charge = _charge_attempt(plan, agreement, ledger, clause)
            _check_attempt(plan, agreement, ledger, clause, charge.seq)
        else:
            charge = _charge(plan, agreement, ledger, clause, plan.cost, plan.account)
            for account in plan.also:
                _charge(plan, agreement, ledger, clause, plan.cost, account)
        # charges have one order that everybody sees: of several at once, only the first ones pass here
        _check_queries(plan, agreement, ledger, clause, charge.seq)
    except BudgetRefused:
        raise  # the ledger has recorded it, in the same transaction as its decision
    except Refused as refusal:
        _record_refusal(plan, refusal, ledger)
        raise
    outcome = _run(plan)
    _check_repeat(plan, outcome, ledger, clause)
    _check_outcome(plan, outcome, ledger, clause)
    return _issue(plan, outcome, agreement, ledger, clause)


def refusal_of(error: ComityError, *, topic: str) -> Refusal:
    """What another party is told of an error: code, clause and words that depend on public facts only."""
    body: dict[str, Any] = {"code": error.code, "message": error.public_message}
    if isinstance(error, Refused) and not error.private:
        body |= {
            "clause": error.clause,
            "asked": error.asked,
            "left": error.left,
            "would_pass": error.would_pass,
        }
    return Refusal(topic=topic, body=body)


def answer(plan: Plan, agreement: Agreement, ledger: Ledger) -> Release | Share | Refusal:
    """`execute`, with a no turned into what may be sent."""
    try:
        return execute(plan, agreement, ledger)
    except Refused as refusal:
        return refusal_of(refusal, topic=plan.topic)


def _asked(plan: Plan, clause: str) -> dict[str, Any]:
    return {
        "plan": plan.name,
        "purpose": plan.purpose,
        "recipient": plan.recipient,
        "clause": clause,
        "account": str(plan.account),
    }


def _record_refusal(plan: Plan, refusal: Refused, ledger: Ledger) -> None:
    ledger.append(
        "refused",
        {
            "account": str(plan.account),
            "plan": plan.name,
            "recipient": plan.recipient,
            "clause": refusal.clause,
            "reason": str(refusal),
        },
    )


def _check_agreement(plan: Plan, agreement: Agreement) -> None:
    """The agreement is signed and in force, names the recipient, and its clause allows what is asked."""
    verify_agreement(agreement, on=datetime.now(UTC).date())
    clause = agreement.clause(plan.architecture)
    provider = agreement.party(plan.account.provider)
    if provider.role != "provider":
        raise ClauseRefused(
            f"'{provider.name}' is no provider in this agreement", clause=f"parties.{provider.name}"
        )
    recipient = agreement.party(plan.recipient)
    if recipient.role == "provider":
        raise ClauseRefused(
            f"'{recipient.name}' is a provider and gets nothing under this agreement",
            clause=f"parties.{recipient.name}",
        )
    lineage = agreement.data_of(plan.account.provider).lineage
    if lineage != plan.account.lineage:
        raise ClauseRefused(
            "the agreement is about other data of this provider",
            clause=f"data.{plan.account.provider}.lineage",
            asked=plan.account.lineage,
            would_pass=lineage,
        )
    for name in sorted((_AT_LEAST | _AT_MOST) - _IN_THE_COST):
        if getattr(clause, name, None) is not None and name not in plan.asks:
            raise ComityError(f"the plan '{plan.purpose}' does not say what it asks of the clause's {name}")
    for name, asked in plan.asks.items():
        _check_limit(plan.architecture, name, asked, getattr(clause, name, None))


def _check_queries(plan: Plan, agreement: Agreement, ledger: Ledger, clause: str, before: int) -> None:
    """How many queries the clause allows on this account; those charged before entry `before` count."""
    allowed = getattr(agreement.clause(plan.architecture), "queries", None)
    if allowed is None:
        return
    charged = ledger.events("charged", account=plan.account)
    asked = sum(
        1
        for entry in charged
        if entry.seq < before and entry.body["clause"] == f"{agreement.digest}/{clause}"
    )
    if asked >= allowed:
        raise ClauseRefused(
            "the clause's queries are used up",
            clause=f"{clause}.queries",
            asked="one more query",
            left=f"0 of {allowed}",
        )


def _draw(plan: Plan, agreement: Agreement, ledger: Ledger, clause: str) -> None:
    """Take one of the answers that a share has paid for, which stays taken; a repeated plan takes no second.

    Raises:
        ClauseRefused: if no such share left under this agreement and account, or its answers are used up.
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
    claim = ledger.append("note", {"drawn": plan.draws_on, "plan": plan.name, "account": account})
    # claims have one order that everybody sees: of several at once, the first ones pass
    taken = {
        entry.body["plan"]
        for entry in ledger.events("note", account=plan.account)
        if entry.seq < claim.seq and entry.body.get("drawn") == plan.draws_on
    }
    if len(taken - {plan.name}) >= share["opens"]:
        raise ClauseRefused(
            "the answers that the share has paid for are used up",
            clause=f"{clause}.queries",
            asked="one more answer",
            left=f"0 of {share['opens']}",
        )


def _check_redrawn(plan: Plan, outcome: Outcome, ledger: Ledger, clause: str) -> None:
    """An answer that a share has paid for is given once; asked again it is repeated byte for byte."""
    released = ledger.events("released", account=plan.account)
    if any(e.body["plan"] == plan.name and e.body["outcome"] != outcome.digest for e in released):
        raise ClauseRefused("what was drawn for this answer is gone: not drawn a second time", clause=clause)


_AT_LEAST = frozenset({"k", "l", "minimum_group"})
_AT_MOST = frozenset({"suppression", "t", "epsilon", "delta"})
_IN_THE_COST = frozenset({"epsilon", "delta"})


def _check_limit(architecture: str, name: str, asked: Any, allowed: Any) -> None:
    """One limit of the clause. An absent limit allows anything; an asked None falls short of any limit."""
    if allowed is None:
        return
    path = f"architectures.{architecture}.{name}"
    if name in _AT_LEAST:
        passes = asked is not None and asked >= allowed
        word = f"{allowed} or more"
    elif name in _AT_MOST:
        passes = asked is not None and asked <= allowed
        word = f"{allowed} or less"
    else:
        passes = asked == allowed
        word = f"{allowed}"
    if not passes:
        raise ClauseRefused(
            f"the clause sets {name} to {word}", clause=path, asked=str(asked), would_pass=word
        )


def _charge(
    plan: Plan, agreement: Agreement, ledger: Ledger, clause: str, cost: Cost, account: Account
) -> Entry:
    budget = agreement.data_of(account.provider).budget
    if budget is None:
        raise ClauseRefused(
            "the agreement gives this data no budget",
            clause=f"data.{account.provider}.budget",
            would_pass="an agreement with data.budget",
        )
    ledger.open_account(
        account,
        Budget(epsilon=budget.epsilon, delta=budget.delta, delta_additive=budget.delta_additive),
    )
    return ledger.charge(
        cost,
        account=account,
        purpose=plan.purpose,
        clause=f"{agreement.digest}/{clause}",
        request=plan.name,
        limit=agreement.clause(plan.architecture).spending_limit,
    )


def _check_attempt(plan: Plan, agreement: Agreement, ledger: Ledger, clause: str, before: int) -> None:
    """One release without differential privacy per lineage, and few attempts at it.

    The first plan that was charged has the lineage to itself, unless its release was withheld.
    """
    entries = [entry for entry in ledger.events() if _same_data(entry, plan)]
    charged = [entry for entry in entries if _without_dp(entry) and entry.seq < before]
    withheld = [entry for entry in entries if entry.kind == "withheld"]
    others = [
        entry
        for entry in charged
        if entry.body["request"] != plan.name
        and not any(w.seq > entry.seq and w.body["plan"] == entry.body["request"] for w in withheld)
    ]
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
    if len(charged) >= allowed:
        raise ClauseRefused(
            "every attempt at a release without differential privacy tells something, and they are used up",
            clause=f"{clause}.attempts",
            asked="one more attempt",
            left=f"0 of {allowed}",
            would_pass="a release with differential privacy",
        )


def _same_data(entry: Entry, plan: Plan) -> bool:
    """Whether an entry is about the same lineage of the same provider, whatever the privacy unit."""
    account = entry.body.get("account")
    return isinstance(account, str) and account.startswith(f"{plan.account.provider}/{plan.account.lineage}/")


def _without_dp(entry: Entry) -> bool:
    return entry.kind == "charged" and entry.body["cost"]["mechanism"] == _WITHOUT_DP


def _charge_attempt(plan: Plan, agreement: Agreement, ledger: Ledger, clause: str) -> Entry:
    unit = plan.account.unit
    relation = Relation.change_one if unit is PrivacyUnit.label else Relation.add_remove
    return ledger.charge(
        without_dp(unit=unit, relation=relation),
        account=plan.account,
        purpose=plan.purpose,
        clause=f"{agreement.digest}/{clause}",
        request=plan.name,
    )


def _released_exactly(plan: Plan, ledger: Ledger) -> list[Mapping[str, Any]]:
    return [
        entry.body for entry in ledger.events("released") if _same_data(entry, plan) and entry.body["exact"]
    ]


def _run(plan: Plan) -> Outcome:
    try:
        return plan.run()
    except ComityError:
        raise
    except Exception as error:
        # the text of a stray error may quote private values: it stays with the holder
        raise ComityError(
            f"running '{plan.purpose}' failed: {type(error).__name__}: {error}", private=True
        ) from error


def _check_repeat(plan: Plan, outcome: Outcome, ledger: Ledger, clause: str) -> None:
    """A release without differential privacy that was made before is repeated byte for byte or not at all."""
    if plan.cost is not None:
        return
    if any(body["outcome"] != outcome.digest for body in _released_exactly(plan, ledger)):
        refusal = ClauseRefused(
            "this was released before, and what it would be now differs: data or settings have changed",
            clause=clause,
            would_pass="a release with differential privacy, or a new lineage under a new agreement",
        )
        _record_refusal(plan, refusal, ledger)
        raise refusal


def _check_outcome(plan: Plan, outcome: Outcome, ledger: Ledger, clause: str) -> None:
    if plan.check is None:
        return
    verdict = plan.check(outcome)
    if verdict.passed:
        return
    ledger.append(
        "withheld",
        {
            "account": str(plan.account),
            "plan": plan.name,
            "clause": clause,
            "reason": verdict.reason,
            "figures": dict(verdict.figures),
        },
    )
    raise Withheld(
        "the release was made and then held back by the provider's own check; the provider's steward "
        "knows why",
        clause=clause,
    )


def _issue(
    plan: Plan, outcome: Outcome, agreement: Agreement, ledger: Ledger, clause: str
) -> Release | Share:
    cost: Mapping[str, Any] | None = None if plan.cost is None else plan.cost.to_dict()
    entry = ledger.append(
        "released",
        {
            "account": str(plan.account),
            "plan": plan.name,
            "purpose": plan.purpose,
            "recipient": plan.recipient,
            "clause": clause,
            "outcome": outcome.digest,
            "exact": plan.cost is None and plan.draws_on is None,
            "sealed": plan.sealed,
            **({"opens": plan.opens, "agreement": agreement.digest} if plan.opens else {}),
            **({"draws_on": plan.draws_on} if plan.draws_on is not None else {}),
        },
    )
    receipt = Receipt(
        agreement=agreement.digest,
        clause=clause,
        plan=plan.name,
        outcome=outcome.digest,
        cost=cost,
        sequence=entry.seq,
        checkpoint=ledger.checkpoint().to_dict(),
    )
    issue = Share if plan.sealed else Release
    body = {"outcome": dict(outcome.body), "receipt": receipt.to_dict()}
    return issue(topic=plan.topic, body=body, parts=outcome.parts, receipt=receipt)
