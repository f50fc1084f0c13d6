"""Accounts as a replay of the ledger: nothing derived is stored, the entries alone say what was spent.

A charge counts against every open account of the same provider and lineage about which it says something:
one per record, with add-remove, also spends the labels' account (PRIVACY.md: 4 rho), while one per label is
listed beside the records' total and makes it none. Limits of a clause are counted within their account.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from comity.errors import BadInput
from comity.ledger.accounts import Account, Budget
from comity.ledger.currency import NANO, Cost, PrivacyUnit, Relation
from comity.ledger.implications import TERMS, in_terms_of, steps
from comity.ledger.totals import Constraint, Remaining, Spent, Total, largest_epsilon, least_multiplier

Terms = tuple[PrivacyUnit, Relation]


@dataclass(frozen=True)
class Charge:
    """What a charge asks: a cost, on an account, under a clause with a limit of its own."""

    account: Account
    cost: Cost
    clause: str = ""
    limit: Budget | None = None

    @property
    def without_dp(self) -> bool:
        """Whether it is a release without differential privacy, which no budget covers or prevents."""
        return self.cost.mechanism == "none"

    def to_dict(self) -> dict[str, Any]:
        return {
            "account": str(self.account),
            "cost": self.cost.to_dict(),
            "clause": self.clause,
            "limit": None if self.limit is None else self.limit.to_dict(),
        }

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Charge:
        """Read the body of a `charged` or `refused` entry; its other keys are for people.

        Raises:
            BadInput: if it is no charge.
        """
        limit = body.get("limit")
        try:
            return cls(
                Account.parse(body["account"]),
                Cost.from_dict(body["cost"]),
                str(body["clause"]),
                None if limit is None else Budget.from_dict(limit),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"the charge is incomplete: {error}") from None


class Accounts:
    """The accounts of one ledger, brought up to date entry by entry."""

    def __init__(self) -> None:
        self._budgets: dict[Account, Budget] = {}
        self._totals: dict[tuple[str, str], dict[Terms, Total]] = {}
        self._clauses: dict[tuple[Account, str], Total] = {}
        self._queries: Counter[tuple[Account, str]] = Counter()

    def copy(self) -> Accounts:
        """The same accounts, to try further entries on."""
        other = Accounts()
        other._budgets = dict(self._budgets)
        other._totals = {data: dict(totals) for data, totals in self._totals.items()}
        other._clauses = dict(self._clauses)
        other._queries = self._queries.copy()
        return other

    @property
    def open(self) -> Mapping[Account, Budget]:
        """The open accounts and their settled budgets."""
        return self._budgets

    def budget(self, account: Account) -> Budget | None:
        return self._budgets.get(account)

    def terms(self, account: Account) -> Terms:
        """The unit and relation that an account is kept in; the usual relation of its unit if not open."""
        budget = self._budgets.get(account) or Budget(0, 0).settled(account.unit)
        return account.unit, budget.relation or Relation.add_remove

    def queries(self, account: Account, clause: str) -> int:
        """How many queries have been charged to an account under a clause."""
        return self._queries[account, clause]

    def totals(self, account: Account) -> tuple[Total, ...]:
        """The totals of the account's data in all terms, the account's own first."""
        own = self.terms(account)
        return tuple(self._total(account, terms) for terms in sorted(TERMS, key=lambda terms: terms != own))

    def apply(self, kind: str, body: Mapping[str, Any]) -> None:
        """Take in one entry.

        Raises:
            BadInput: if its body does not fit its kind.
        """
        if kind == "opened":
            account, budget = opened(body)
            if self._budgets.get(account, budget) != budget:
                raise BadInput(f"account {account} is opened again with another budget")
            self._budgets[account] = budget
        elif kind == "charged":
            charge = Charge.from_dict(body)
            self._charge(charge)
            self._queries[charge.account, charge.clause] += queries_of(body)

    def _charge(self, charge: Charge) -> None:
        account = charge.account
        lineage = self._totals.setdefault((account.provider, account.lineage), {})
        for terms in TERMS:
            lineage[terms] = lineage.get(terms, Total(*terms)).after(in_terms_of(charge.cost, *terms))
        if charge.clause and not charge.without_dp:
            terms = self.terms(account)
            before = self._clauses.get((account, charge.clause), Total(*terms))
            self._clauses[account, charge.clause] = before.after(in_terms_of(charge.cost, *terms))

    def spent(self, account: Account) -> Spent:
        """What has been spent of an open account."""
        own, *others = self.totals(account)
        return Spent(self._budgets[account], own, tuple(others))

    def settled(self, charge: Charge) -> Charge:
        """The charge with its limit filled in."""
        if charge.limit is None or charge.account not in self._budgets:
            return charge
        return replace(charge, limit=self.settled_limit(charge.account, charge.limit))

    def settled_limit(self, account: Account, limit: Budget) -> Budget:
        """A limit within an open account: it is kept in the account's terms and splits its delta likewise.

        Raises:
            BadInput: if the limit names another relation than the account's.
        """
        return _settled_limit(account, self._budgets[account], limit)

    def obstacle(self, charge: Charge) -> Constraint | None:
        """The first budget that does not admit the charge; None if all do."""
        if charge.without_dp:
            return None
        constraints = self.constraints(charge.account, charge.cost, charge.clause, charge.limit)
        return next((one for one in constraints if not _admits(one, charge.cost)), None)

    def constraints(
        self, account: Account, terms: Cost | Terms, clause: str = "", limit: Budget | None = None
    ) -> list[Constraint]:
        """Every budget that a charge in these terms must stay within; the account must be open."""
        stated = (terms.unit, terms.relation) if isinstance(terms, Cost) else terms
        own = self.terms(account)
        found = [
            self._constraint(f"account {account}", self._budgets[account], self._total(account, own), stated)
        ]
        if limit is not None:
            total = self._clauses.get((account, clause), Total(*own))
            found.append(self._constraint(f"clause {clause}", limit, total, stated))
        for other, budget in self._budgets.items():
            same_data = (other.provider, other.lineage) == (account.provider, account.lineage)
            if same_data and other != account and steps(stated, self.terms(other)) is not None:
                total = self._total(other, self.terms(other))
                found.append(self._constraint(f"account {other}", budget, total, stated))
        return found

    def remaining(
        self, account: Account, terms: Terms, clause: str = "", limit: Budget | None = None
    ) -> Remaining:
        """What one more charge in these terms may cost; the account must be open."""
        from comity.ledger.costs import approximate, gaussian, pure

        unit, relation = terms
        constraints = self.constraints(account, terms, clause, limit)
        if any(one.steps == 0 for one in constraints):  # such a charge says nothing about the account
            return Remaining(unit, relation, 0.0, 0.0, float("inf"))

        def admitted(cost: Cost) -> bool:
            return all(_admits(one, cost) for one in constraints)

        def admits_epsilon(units: int) -> bool:
            return admitted(pure(units / NANO, unit=unit, relation=relation))

        epsilon = largest_epsilon(constraints, admits_epsilon)
        delta = min(one.room_for_delta(epsilon) for one in constraints)
        if not admitted(approximate(epsilon, delta, unit=unit, relation=relation)):
            epsilon, delta = (epsilon, 0.0) if admits_epsilon(round(epsilon * NANO)) else (0.0, 0.0)
        noise = least_multiplier(
            constraints, lambda multiplier: admitted(gaussian(multiplier, unit=unit, relation=relation))
        )
        return Remaining(unit, relation, epsilon, delta, noise)

    def _total(self, account: Account, terms: Terms) -> Total:
        return self._totals.get((account.provider, account.lineage), {}).get(terms, Total(*terms))

    def _constraint(self, name: str, budget: Budget, total: Total, stated: Terms) -> Constraint:
        return Constraint(name, budget, total, steps(stated, (total.unit, total.relation)) or 0)


@lru_cache(maxsize=1024)
def _settled_limit(account: Account, budget: Budget, limit: Budget) -> Budget:
    limit = replace(limit, relation=limit.relation or budget.relation)
    if limit.relation != budget.relation:
        raise BadInput(
            f"a limit within account {account} is kept per {budget.relation}, not {limit.relation}"
        )
    return limit.settled(account.unit, additive_share=budget.additive_share)


def queries_of(body: Mapping[str, Any]) -> int:
    """How many of its clause's queries a charge counts as: 1, unless its body says more.

    Raises:
        BadInput: if it says what is no number of queries.
    """
    queries = body.get("queries", 1)
    if type(queries) is not int or queries < 1:
        raise BadInput("a charge counts as a whole number of queries, 1 or more")
    return queries


def opened(body: Mapping[str, Any]) -> tuple[Account, Budget]:
    """Read the body of an `opened` entry.

    Raises:
        BadInput: if it is none.
    """
    try:
        account, budget = Account.parse(body["account"]), Budget.from_dict(body["budget"])
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"the opening of an account is incomplete: {error}") from None
    if budget.relation is None or budget.delta_additive is None:
        raise BadInput(f"the budget of account {account} is incomplete")
    return account, budget


def _admits(constraint: Constraint, cost: Cost) -> bool:
    total = constraint.total
    return total.admits(in_terms_of(cost, total.unit, total.relation), constraint.budget)
