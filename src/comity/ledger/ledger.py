"""The ledger: what was asked, refused, spent, withheld and released, and the accounts that follow from it.

A charge is decided under the log's lock and is on the disk when it returns, before a private byte is read: a
crash after it loses budget, never privacy. Nothing is ever refunded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from comity.errors import Refused, UsageError, VerificationFailed
from comity.ledger.accounts import Account, Budget
from comity.ledger.asking import Asking, decisions
from comity.ledger.costs import Cost, PrivacyUnit, Relation
from comity.ledger.currency import checked_terms
from comity.ledger.dp_events import cost_of
from comity.ledger.entries import Entry
from comity.ledger.log import Decision, Log, as_account
from comity.ledger.refusals import refusal_of_budget, refusal_of_charge
from comity.ledger.replay import Accounts, Charge
from comity.ledger.totals import Remaining, Spent

AnyAccount = Account | str
"""An account, or `provider/lineage/unit`."""

AnyBudget = Budget | tuple[float, float]
"""A budget, or (epsilon, delta)."""


class Ledger(Log):
    """One party's ledger: a log (`Log`: open, append, proofs, verify), and the accounts it implies."""

    def open_account(self, account: AnyAccount, budget: AnyBudget) -> Account:
        """Open an account, once for its data's lifetime; again with the same budget changes nothing.

        Args:
            account: an `Account`, or `provider/lineage/unit`.
            budget: a `Budget`, or (epsilon, delta).

        Raises:
            BudgetRefused: if it is open with another budget: a renewed agreement does not refill it.
        """
        account = as_account(account)
        asked = _budget(budget)
        settled = asked.settled(account.unit)
        self._refresh()
        existing = self._state.accounts.budget(account)
        if existing is not None and existing.is_what(asked, account.unit):  # never changes: no lock needed
            return account

        def decide(accounts: Accounts) -> Decision | None:
            existing = accounts.budget(account)
            body = {"account": str(account), "budget": settled.to_dict()}
            if existing is None:
                return "opened", body
            if existing.is_what(asked, account.unit):
                return None
            return "refused", {**body, "reason": f"it is open with {existing.words()}"}

        entry = self._decide(decide)
        if entry is not None and entry.kind == "refused":
            with self._lock:
                raise refusal_of_budget(account, settled, self._state.accounts)
        return account

    def charge(
        self,
        event: Cost | object,
        *,
        account: AnyAccount,
        purpose: str = "",
        clause: str = "",
        request: str | int | None = None,
        limit: AnyBudget | None = None,
        budget: AnyBudget | None = None,
        queries: int = 1,
    ) -> Entry:
        """Charge a cost to an account, if its budget admits it; durable when this returns.

        Args:
            event: a `Cost`, or a dp_accounting event of the closed list in `dp_events`.
            account: an `Account`, or `provider/lineage/unit`.
            purpose: one line for people, from public facts.
            clause: the agreement's clause that allows it.
            request: what asked for it: a plan's name, or the seq of an `asked` entry.
            limit: what all charges under `clause` on this account may come to.
            budget: opens the account first, as `open_account` does.
            queries: how many of its clause's queries it counts as.

        Returns:
            The entry, with the signed checkpoint stored beside it.

        Raises:
            BudgetRefused: if a budget does not admit it (of the account, of the clause, or of another account
                of the same data that it would spend too); a `refused` entry says so, and nothing was charged.
            UsageError: if the account is not open, the event has no price, or a limit has no clause.
        """
        account = as_account(account)
        if limit is not None and not clause:
            raise UsageError("a limit belongs to a clause: pass clause= with it")
        if budget is not None:
            self.open_account(account, budget)
        cost = cost_of(event, *self._terms(account))
        asked = Charge(account, cost, clause, None if limit is None else _budget(limit))
        people = {"purpose": purpose, "request": request} | ({"queries": queries} if queries != 1 else {})
        kept: list[tuple[Charge, str]] = []

        def decide(accounts: Accounts) -> Decision:
            if accounts.budget(account) is None and not asked.without_dp:
                raise self._not_open(account)
            charge = accounts.settled(asked)
            obstacle = accounts.obstacle(charge)
            if obstacle is None:
                return "charged", {**charge.to_dict(), **people}
            kept.append((charge, obstacle.name))
            return "refused", {**charge.to_dict(), **people, "reason": f"the budget of {obstacle.name}"}

        entry = self._decide(decide)
        if entry is None:
            raise VerificationFailed("a charge left no entry")
        if kept:
            with self._lock:
                raise refusal_of_charge(*kept[0], self._state.accounts)
        return entry

    def charge_all(self, askings: Sequence[Asking]) -> list[Entry | Refused]:
        """Decide several charges in one transaction, one after the other; all is durable when it returns.

        Returns:
            For each its `charged` entry, or the refusal that the ledger has recorded.

        Raises:
            UsageError: if an account is not open; then nothing is charged.
        """
        refusals: dict[int, Refused] = {}

        def decide(accounts: Accounts) -> Iterable[Decision]:
            for asking in askings:
                if asking.refused is None and accounts.budget(asking.account) is None:
                    raise self._not_open(asking.account)
            return decisions(askings, accounts, refusals)

        entries = self._decide_all(decide)
        return [refusals.get(at, entry) for at, entry in enumerate(entries[1::2])]

    def queries(self, account: AnyAccount, clause: str) -> int:
        """How many queries have been charged to an account under a clause, as of this process's last look."""
        return self._state.accounts.queries(as_account(account), clause)

    def remaining(
        self,
        account: AnyAccount,
        unit: PrivacyUnit | str | None = None,
        relation: Relation | str | None = None,
        *,
        clause: str = "",
        limit: AnyBudget | None = None,
    ) -> Remaining:
        """What one more charge of the account may cost, in its own terms or in those given.

        Every budget that such a charge must stay within counts, as in `charge`.

        Raises:
            UsageError: if the account is not open.
        """
        account = as_account(account)
        accounts = self._open(account)
        own_unit, own_relation = accounts.terms(account)
        terms = checked_terms(
            own_unit if unit is None else unit, own_relation if relation is None else relation
        )
        settled = None if limit is None else accounts.settled_limit(account, _budget(limit))
        return accounts.remaining(account, terms, clause, settled)

    def spent(self, account: AnyAccount) -> Spent:
        """What has been spent of an account, and its data's totals in all other terms.

        Raises:
            UsageError: if the account is not open.
        """
        account = as_account(account)
        return self._open(account).spent(account)

    def accounts(self) -> dict[Account, Budget]:
        """The open accounts and their budgets."""
        self._refresh()
        return dict(self._state.accounts.open)

    def ended(self, agreement: str, *, fresh: bool = True) -> Mapping[str, Any] | None:
        """What the ledger says of the end of an agreement: that it was withdrawn from, or replaced.

        Args:
            agreement: its digest.
            fresh: look at what other processes have appended, too; if not, as of this one's last look.

        Returns:
            The body of the first `note` whose `ended` is that digest; None if there is none. What has ended
            stays so.
        """
        if fresh:
            self._refresh()
        return self._state.ended.get(agreement)

    def _open(self, account: Account) -> Accounts:
        """The accounts up to date, this one among them."""
        self._refresh()
        if self._state.accounts.budget(account) is None:
            raise self._not_open(account)
        return self._state.accounts

    def _not_open(self, account: Account) -> UsageError:
        known = ", ".join(str(one) for one in self._state.accounts.open) or "none"
        return UsageError(
            f"account {account} is not open in this ledger (open: {known}); open it once with "
            f'open_account("{account}", Budget(epsilon, delta)), or pass budget=(epsilon, delta) to charge()'
        )

    def _terms(self, account: Account) -> tuple[PrivacyUnit, Relation]:
        if self._state.accounts.budget(account) is None:
            self._refresh()
        return self._state.accounts.terms(account)


def _budget(budget: AnyBudget) -> Budget:
    if isinstance(budget, Budget):
        return budget
    try:
        epsilon, delta = budget
    except (TypeError, ValueError):
        raise UsageError("a budget is Budget(epsilon, delta) or the pair (epsilon, delta)") from None
    return Budget(epsilon, delta)
