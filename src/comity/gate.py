"""The one door out of a provider: plan + agreement + ledger -> release, or a refusal, or withheld.

The order is PRIVACY.md's: check agreement and account -> charge durably -> run -> (only for releases
without differential privacy) check the outcome -> release or withhold. A charge is on disk before a
private byte is read and is never refunded, so a crash loses budget and never privacy.

Releases without differential privacy do not compose, so the gate lets one of them out per dataset
lineage, for all recipients; asked again for the same thing it repeats it, byte for byte, or refuses. A
withheld one counts as an attempt, and an agreement allows few of them, since each refusal tells something.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, TypeVar

from comity.agreement import Agreement, verify_agreement
from comity.agreement.limits import require_own_data, require_within
from comity.errors import BudgetRefused, ClauseRefused, ComityError, Refused, Withheld
from comity.gate_checks import check_attempt, check_queries, check_redrawn, claim_own, draw
from comity.ledger import Account, Budget, Cost, Entry, Ledger, PrivacyUnit, Relation, without_dp
from comity.ledger.exact import exact_outcomes
from comity.ledger.refusals import refused_body
from comity.plan import Notice, Outcome, Plan, Receipt, Refusal, Release, Share, Verdict

_Made = TypeVar("_Made", Outcome, Verdict)

FAILED: Final = "failed"
PRIVATE: Final = f"{FAILED}: the holder of the data has the details"
"""What another party is told of every private error."""


def execute(plan: Plan, agreement: Agreement, ledger: Ledger) -> Release | Share:
    """Take a plan through agreement and ledger.

    Returns:
        What may now be sent to `plan.recipient` and to nobody else.

    Raises:
        ClauseRefused: if a clause forbids it; nothing was charged, nothing was read.
        BudgetRefused: if the account, or the clause's own limit, has too little left; nothing was read.
        Withheld: if the outcome failed its check; it stays charged, and the reason is the steward's alone.
    """
    if plan.repeats:
        raise ComityError(f"the plan '{plan.purpose}' tells answers again: it goes through `gate_batch`")
    clause = f"architectures.{plan.architecture}"
    ledger.append("asked", asked_of(plan, clause))
    try:
        check_agreement(plan, agreement, ledger)
        if plan.draws_on is not None:
            draw(plan, agreement, ledger, clause)
            outcome = run_plan(plan)
            check_redrawn(plan, outcome, ledger, clause)
            _check_outcome(plan, outcome, ledger, clause)
            check_not_ended(agreement.digest, ledger)
            return _issue(plan, outcome, agreement, ledger, clause)
        if plan.own_key:
            claim_own(plan, agreement, ledger, clause)
            outcome = run_plan(plan)
            check_not_ended(agreement.digest, ledger)
            return _issue(plan, outcome, agreement, ledger, clause)
        check_queries(plan, agreement, ledger, clause, ledger.size)
        if plan.cost is None:
            for account in plan.accounts:
                check_attempt(plan, account, agreement, ledger, clause, ledger.size)
            charges = [_charge_attempt(plan, account, agreement, ledger, clause) for account in plan.accounts]
            for account, charge in zip(plan.accounts, charges, strict=True):
                check_attempt(plan, account, agreement, ledger, clause, charge.seq)
        else:
            charges = [
                _charge(plan, agreement, ledger, clause, plan.cost, account) for account in plan.accounts
            ]
        # charges have one order that everybody sees: of several at once, only the first ones pass here
        check_queries(plan, agreement, ledger, clause, charges[0].seq)
    except BudgetRefused:
        raise  # the ledger has recorded it, in the same transaction as its decision
    except Refused as refusal:
        _record_refusal(plan, refusal, ledger)
        raise
    outcome = run_plan(plan)
    _check_repeat(plan, outcome, ledger, clause)
    _check_outcome(plan, outcome, ledger, clause)
    try:
        check_not_ended(agreement.digest, ledger)  # it may have ended while the plan ran
    except Refused as refusal:
        _record_refusal(plan, refusal, ledger)
        raise
    return _issue(plan, outcome, agreement, ledger, clause)


def refusal_of(error: ComityError, *, topic: str) -> Refusal:
    """What another party is told of an error: code, clause and words that depend on public facts only.

    Private errors are all told alike: which kind of error it was can depend on private values too.
    """
    if error.private:
        return Refusal(topic=topic, body={"code": FAILED, "message": PRIVATE})
    body: dict[str, Any] = {"code": error.code, "message": error.public_message}
    if isinstance(error, Refused):
        body |= {
            "clause": error.clause,
            "asked": error.asked,
            "left": error.left,
            "would_pass": error.would_pass,
        }
    return Refusal(topic=topic, body=body)


def notify(
    agreement: Agreement,
    ledger: Ledger,
    *,
    architecture: str,
    recipient: str,
    topic: str,
    body: Mapping[str, Any],
    parts: Mapping[str, bytes],
) -> Notice:
    """Let out what a protocol needs and no private byte has gone into: keys, key shares, signatures.

    Raises:
        ClauseRefused: if the agreement is not in force, or has no clause for the architecture.
    """
    check_not_ended(agreement.digest, ledger)
    verify_agreement(agreement, on=datetime.now(UTC).date())
    agreement.clause(architecture)
    agreement.party(recipient)
    told = Outcome(body=body, parts=parts).digest
    text = f"notice to {recipient} about '{topic}', made of no data"
    ledger.append("note", {"text": text, "clause": f"architectures.{architecture}", "notice": told})
    return Notice(topic=topic, body=body, parts=parts)


def asked_of(plan: Plan, clause: str) -> dict[str, Any]:
    return {
        "plan": plan.name,
        "purpose": plan.purpose,
        "recipient": plan.recipient,
        "clause": clause,
        "account": str(plan.account),
    }


def refusal_body(plan: Plan, refusal: Refused) -> dict[str, Any]:
    """The ledger's entry of a no that is not a budget's."""
    return refused_body(asked_of(plan, refusal.clause), refusal)


def _record_refusal(plan: Plan, refusal: Refused, ledger: Ledger) -> None:
    ledger.append("refused", refusal_body(plan, refusal))


def check_agreement(plan: Plan, agreement: Agreement, ledger: Ledger) -> None:
    """The agreement is signed and in force, names the recipient, and its clause allows what is asked."""
    check_not_ended(agreement.digest, ledger)
    verify_agreement(agreement, on=datetime.now(UTC).date())
    check_plan(plan, agreement)


def check_plan(plan: Plan, agreement: Agreement) -> None:
    """The agreement names accounts and recipient, and its clause allows what is asked."""
    clause = agreement.clause(plan.architecture)
    for account in plan.accounts:
        require_own_data(agreement, account.provider, account.lineage)
    recipient = agreement.party(plan.recipient)
    computes = plan.sealed and recipient.name in getattr(clause, "compute", ())
    if recipient.role == "provider" and not computes:
        raise ClauseRefused(
            f"'{recipient.name}' is a provider and gets nothing under this agreement",
            clause=f"parties.{recipient.name}",
        )
    require_within(clause, plan.asks, purpose=plan.purpose)


def check_not_ended(agreement: str, ledger: Ledger, *, fresh: bool = True) -> None:
    """This ledger knows of no end of the agreement: a withdrawal from it, or another one in its place."""
    ended = ledger.ended(agreement, fresh=fresh)
    if ended is not None:
        raise ClauseRefused(
            str(ended["text"]), clause=str(ended["clause"]), would_pass=ended.get("would_pass")
        )


def open_account(account: Account, agreement: Agreement, ledger: Ledger) -> None:
    """Open the account with the budget that the agreement gives the data, if it is not open."""
    budget = agreement.data_of(account.provider).budget
    if budget is None:
        raise ClauseRefused(
            "the agreement gives this data no budget",
            clause=f"data.{account.provider}.budget",
            would_pass="an agreement with data.budget",
        )
    ledger.open_account(account, Budget(budget.epsilon, budget.delta, budget.delta_additive))


def _charge(
    plan: Plan, agreement: Agreement, ledger: Ledger, clause: str, cost: Cost, account: Account
) -> Entry:
    open_account(account, agreement, ledger)
    return ledger.charge(
        cost,
        account=account,
        purpose=plan.purpose,
        clause=f"{agreement.digest}/{clause}",
        request=plan.name,
        limit=agreement.clause(plan.architecture).spending_limit,
        queries=plan.queries,
    )


def _charge_attempt(plan: Plan, account: Account, agreement: Agreement, ledger: Ledger, clause: str) -> Entry:
    unit = account.unit
    relation = Relation.change_one if unit is PrivacyUnit.label else Relation.add_remove
    return ledger.charge(
        without_dp(unit=unit, relation=relation),
        account=account,
        purpose=plan.purpose,
        clause=f"{agreement.digest}/{clause}",
        request=plan.name,
    )


def run_plan(plan: Plan) -> Outcome:
    """Run a plan. What it raises is for the holder of the data, but for a `Refused`.

    Raises:
        Refused: as the plan raised it: its words depend on public facts only, or it says that it is private.
        ComityError: any other error, private.
    """
    return _at_home(plan.run, f"running '{plan.purpose}'")


def _verdict(plan: Plan, check: Callable[[Outcome], Verdict], outcome: Outcome) -> Verdict:
    return _at_home(lambda: check(outcome), f"checking what came of '{plan.purpose}'")


def _at_home(work: Callable[[], _Made], what: str) -> _Made:
    """Do what reads private values; the text of its errors may quote them, whoever wrote it."""
    try:
        return work()
    except Refused:
        raise
    except ComityError as error:
        error.private = True
        raise
    except Exception as error:
        raise ComityError(f"{what} failed: {type(error).__name__}: {error}", private=True) from error


def _check_repeat(plan: Plan, outcome: Outcome, ledger: Ledger, clause: str) -> None:
    """A release without differential privacy that was made before is repeated byte for byte or not at all."""
    if plan.cost is not None:
        return
    if exact_outcomes(ledger, plan.accounts) - {outcome.digest}:
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
    verdict = _verdict(plan, plan.check, outcome)
    if verdict.passed:
        return
    ledger.append(
        "withheld",
        {
            "account": str(plan.account),
            **_also(plan),
            "plan": plan.name,
            "clause": clause,
            "reason": verdict.reason,
            "figures": dict(verdict.figures),
        },
    )
    raise Withheld(
        plan.held
        or "the release was made and then held back by the own check of the party that made it; its steward "
        "knows why",
        clause=clause,
    )


def _also(plan: Plan) -> dict[str, Any]:
    """The other accounts, where what leaves is made of several providers' data."""
    return {"also": [str(account) for account in plan.also]} if plan.also else {}


def released_body(
    plan: Plan, outcome: Outcome, agreement: str, clause: str, committed: str | None
) -> dict[str, Any]:
    """The ledger's entry of a release or share; the receipt opens it to the recipient."""
    return {
        "account": str(plan.account),
        **_also(plan),
        "plan": plan.name,
        "purpose": plan.purpose,
        "recipient": plan.recipient,
        "clause": clause,
        "outcome": outcome.digest,
        "exact": plan.cost is None and plan.draws_on is None and not plan.repeats and not plan.own_key,
        "sealed": plan.sealed,
        **({"opens": plan.opens, "agreement": agreement} if plan.opens else {}),
        **({"draws_on": plan.draws_on} if plan.draws_on is not None else {}),
        **({"repeats": list(plan.repeats)} if plan.repeats else {}),
        **({"commitment": committed} if committed is not None else {}),
    }


def issued(plan: Plan, outcome: Outcome, entry: Entry, agreement: str, clause: str) -> Release | Share:
    """What may be sent under the agreement of this digest, its `released` entry being durable."""
    cost: Mapping[str, Any] | None = None if plan.cost is None else plan.cost.to_dict()
    receipt = Receipt.of(entry, agreement=agreement, clause=clause, plan=plan.name, cost=cost)
    issue = Share if plan.sealed else Release
    body = {"outcome": dict(outcome.body), "receipt": receipt.to_dict()}
    return issue(topic=plan.topic, body=body, parts=outcome.parts, receipt=receipt)


def _issue(
    plan: Plan, outcome: Outcome, agreement: Agreement, ledger: Ledger, clause: str
) -> Release | Share:
    committed = ledger.committed(plan.account)
    body = released_body(plan, outcome, agreement.digest, clause, committed)
    entry = ledger.append("released", body)
    return issued(plan, outcome, entry, agreement.digest, clause)


def piece(plan: Plan, outcome: Outcome, number: int, data: bytes, ledger: Ledger) -> Release | Share:
    """A further message of what has been released, too large for one: bytes whose digest its outcome lists.

    Raises:
        ComityError: if this outcome has not been released to the plan's recipient, or lists other bytes.
    """
    wanted = (plan.name, plan.recipient, outcome.digest)
    released = [
        entry
        for entry in ledger.events("released", account=plan.account)
        if (entry.body["plan"], entry.body["recipient"], entry.body["outcome"]) == wanted
    ]
    listed = outcome.body.get("pieces", ())
    if not released or not 0 <= number < len(listed) or listed[number] != sha256(data).hexdigest():
        raise ComityError(f"piece {number} is not of what '{plan.purpose}' has released")
    entry = released[0]
    receipt = Receipt("", entry.body["clause"], plan.name, outcome.digest, None, entry.seq, {})
    issue = Share if plan.sealed else Release
    body = {"piece": number, "receipt": {"outcome": outcome.digest, "sequence": entry.seq}}
    return issue(topic=plan.topic, body=body, parts={"piece": data}, receipt=receipt)
