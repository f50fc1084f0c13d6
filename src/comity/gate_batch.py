"""Several plans through the gate together, in its order and with its guarantees, for fewer commits.

check all -> charge all, durable in one transaction -> run -> all releases in one transaction. No private byte
is read before every charge is on the disk; what was charged stays charged, and a crash loses budget, never
privacy. Each plan is decided over the accounts as the plans before it leave them, and stands in the ledger
as if it had been taken through `comity.gate.execute` alone.

For plans with differential privacy and one account: what has none is taken through the gate by itself. A plan
that only tells again what was released to its recipient before is charged nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from comity.agreement import Agreement
from comity.agreement.signing import check_signatures, check_unexpired
from comity.errors import ClauseRefused, ComityError, Refused
from comity.gate import (
    asked_of,
    check_not_ended,
    check_plan,
    issued,
    open_account,
    refusal_body,
    released_body,
    run_plan,
)
from comity.ledger import Account, Budget, Ledger
from comity.ledger.asking import Asking
from comity.plan import Outcome, Plan, Release, Share


def execute_all(
    plans: Sequence[Plan], agreement: Agreement, ledger: Ledger
) -> list[Release | Share | ComityError]:
    """Take plans of one agreement through agreement and ledger, in their order: `BatchGate.execute_all`."""
    return BatchGate(agreement, ledger).execute_all(plans)


class BatchGate:
    """The gate of one agreement and ledger for many plans; what never changes is looked at once.

    Raises:
        VerificationFailed: if the agreement is not signed by all.
    """

    def __init__(self, agreement: Agreement, ledger: Ledger) -> None:
        check_signatures(agreement)
        self._agreement = agreement
        self._digest = agreement.digest
        self._ledger = ledger
        self._opened: set[Account] = set()
        self._limits: dict[str, Budget | None] = {}

    def execute_all(self, plans: Sequence[Plan]) -> list[Release | Share | ComityError]:
        """Take plans through agreement and ledger, in their order.

        Returns:
            For each what may now be sent to its recipient, or why it may not: a `Refused` (nothing was read),
            or the error of its run (it stays charged). One plan's no stops no other one.

        Raises:
            ComityError: for a plan that has no cost, several accounts, or draws on a share.
        """
        for plan in plans:
            if (plan.cost is None and not plan.repeats) or plan.also:
                raise ComityError(f"the plan '{plan.purpose}' goes through the gate by itself")
        found: dict[int, Release | Share | ComityError] = dict(self._refused(plans))
        outcomes: dict[int, Outcome] = {}
        for at, plan in enumerate(plans):
            if at in found:
                continue
            try:
                outcomes[at] = run_plan(plan)
            except ComityError as error:
                found[at] = error
        found |= self._issue_all(plans, outcomes)
        return [found[at] for at in range(len(plans))]

    def _refused(self, plans: Sequence[Plan]) -> dict[int, Refused]:
        """Charge all that has a price, durably; what is refused, by place, every refusal being recorded."""
        no = _refusal(self._check_in_force)
        refusals = [no or _refusal(lambda plan=plan: self._check(plan)) for plan in plans]
        paid = [at for at, plan in enumerate(plans) if plan.cost is not None]
        askings = [self._asking(plans[at], refusals[at]) for at in paid]
        charged = self._ledger.charge_all(askings) if askings else []
        found = {at: entry for at, entry in zip(paid, charged, strict=True) if isinstance(entry, Refused)}
        for at, (plan, refusal) in enumerate(zip(plans, refusals, strict=True)):
            if plan.cost is None and refusal is not None:
                self._ledger.append_all([self._asked(plan), ("refused", refusal_body(plan, refusal))])
                found[at] = refusal
        return found

    def _check_in_force(self) -> None:
        # what another process appended meanwhile counts when the releases are
        check_not_ended(self._digest, self._ledger, fresh=False)
        check_unexpired(self._agreement, datetime.now(UTC).date())

    def _check(self, plan: Plan) -> None:
        check_plan(plan, self._agreement)
        if plan.account not in self._opened:
            open_account(plan.account, self._agreement, self._ledger)
            self._opened.add(plan.account)
        if plan.repeats:
            self._check_released(plan)

    def _check_released(self, plan: Plan) -> None:
        """What a plan tells again has left before: to the same party, about the same data and clause."""
        clause = f"architectures.{plan.architecture}"
        wanted = ("released", str(plan.account), plan.recipient, clause)
        for entry in self._ledger.entries(plan.repeats):
            if (entry.kind, *(entry.body.get(name) for name in ("account", "recipient", "clause"))) != wanted:
                raise ClauseRefused("what is to be told again was not released to this party", clause=clause)

    def _asked(self, plan: Plan) -> tuple[str, dict[str, Any]]:
        return "asked", asked_of(plan, f"architectures.{plan.architecture}")

    def _asking(self, plan: Plan, refused: Refused | None) -> Asking:
        if plan.cost is None:
            raise ComityError(f"the plan '{plan.purpose}' has no cost")
        named = f"architectures.{plan.architecture}"
        clause = self._agreement.architectures.get(plan.architecture)
        return Asking(
            account=plan.account,
            cost=plan.cost,
            clause=f"{self._digest}/{named}",
            limit=self._limit(plan.architecture),
            purpose=plan.purpose,
            request=plan.name,
            asked=asked_of(plan, named),
            queries=plan.queries,
            allowed=getattr(clause, "queries", None),
            refused=refused,
        )

    def _limit(self, architecture: str) -> Budget | None:
        if architecture not in self._limits:
            clause = self._agreement.architectures.get(architecture)
            limit = None if clause is None else clause.spending_limit
            self._limits[architecture] = None if limit is None else Budget(*limit)
        return self._limits[architecture]

    def _issue_all(
        self, plans: Sequence[Plan], outcomes: dict[int, Outcome]
    ) -> dict[int, Release | Share | ComityError]:
        if not outcomes:
            return {}
        clauses = {at: f"architectures.{plans[at].architecture}" for at in outcomes}
        accounts = {plans[at].account for at in outcomes}
        committed = {account: self._ledger.committed(account) for account in accounts}
        bodies = [self._asked(plans[at]) for at in outcomes if plans[at].cost is None]
        asked = len(bodies)
        bodies += [
            (
                "released",
                released_body(plans[at], outcome, self._digest, clauses[at], committed[plans[at].account]),
            )
            for at, outcome in outcomes.items()
        ]
        entries = self._ledger.append_all(bodies, under=self._digest)[asked:]
        if not entries:  # the agreement ended while the plans ran
            return dict.fromkeys(outcomes, self._ended(plans, outcomes))
        return {
            at: issued(plans[at], outcome, entry, self._digest, clauses[at])
            for (at, outcome), entry in zip(outcomes.items(), entries, strict=True)
        }

    def _ended(self, plans: Sequence[Plan], outcomes: dict[int, Outcome]) -> Refused:
        refusal = _refusal(lambda: check_not_ended(self._digest, self._ledger))
        if refusal is None:
            raise ComityError("the ledger appended no release, and knows of no end of the agreement")
        told = [("refused", refusal_body(plans[at], refusal)) for at in outcomes]
        self._ledger.append_all(told)
        return refusal


def _refusal(check: Callable[[], None]) -> Refused | None:
    try:
        check()
    except Refused as refusal:
        return refusal
    return None
