"""The account of a local validator: an in-memory ledger, and what an answer may still cost."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from comity.errors import BudgetRefused
from comity.ledger import Budget, Ledger, PrivacyUnit, Relation, gaussian_noise_multiplier
from comity.validate.mechanism import Price
from comity.validate.parameters import a_number, an_epsilon
from comity.validate.process import OwnProcess

if TYPE_CHECKING:
    from comity.ledger import Cost, Remaining


class LabelAccount:
    """(epsilon, delta) for a change of one label (or record), over everything that is ever answered.

    How delta is split between answers charged as a whole and answers charged by their Renyi curves is settled
    with the first answer: a first answer that takes everything gets all of delta, otherwise half and half.

    Args:
        epsilon: in nats, above 0.
        delta: in [0, 1); 0 allows Laplace noise only.
        place: the ledger's path or URL; what it holds of the account was spent before.
        unit: what changes between neighbours.

    Raises:
        UsageError: for values out of range.
        BudgetRefused: if the ledger has the account with another budget.
    """

    def __init__(
        self,
        epsilon: float,
        delta: float,
        *,
        place: str | Path = ":memory:",
        unit: PrivacyUnit = PrivacyUnit.label,
    ) -> None:
        epsilon, delta = an_epsilon(epsilon), a_number(delta, "delta", least=0)
        Price(epsilon, delta)
        self.epsilon, self.delta, self.unit = epsilon, delta, unit
        self.name = f"local/default/{unit}"
        self.ledger = Ledger.open(place)
        self._lock = threading.Lock()
        self._process = OwnProcess()
        self._shared = place != ":memory:"
        self._opened = self._is_open()

    def _is_open(self) -> bool:
        """Whether the ledger has the account, of this budget."""
        asked = Budget(self.epsilon, self.delta)
        for account, budget in self.ledger.accounts().items():
            if str(account) != self.name:
                continue
            if (budget.epsilon, budget.delta) != (asked.epsilon, asked.delta):
                raise BudgetRefused(
                    "the account is open with another budget, for the data's lifetime",
                    clause=f"account {self.name}",
                    asked=asked.words(),
                    left=budget.words(),
                    would_pass="opening the validator with the budget that it was founded with",
                )
            return True
        return False

    def remaining(self) -> Remaining:
        """What one more answer may cost."""
        with self._lock:
            self._look()
            if not self._opened:
                from comity.ledger import Remaining

                least = gaussian_noise_multiplier(self.epsilon, self.delta) if self.delta else float("inf")
                return Remaining(self.unit, Relation.change_one, self.epsilon, self.delta, least)
            return self.ledger.remaining(self.name)

    def charge(self, epsilon: float | None, purpose: str) -> Price:
        """Charge one answer, durably as far as memory goes, before it is computed.

        Args:
            epsilon: of this answer by itself; None: all that is left.
            purpose: in words.

        Raises:
            BudgetRefused: if too little is left; nothing was charged.
        """
        self._process.require()
        with self._lock:
            self._look()
            price = self._price(epsilon)
            if not self._opened:
                whole = self._is_whole(epsilon)
                additive = self.delta if whole else None
                self.ledger.open_account(self.name, self._budget(additive))
                self._opened = True
            self.ledger.charge(price.cost, account=self.name, purpose=purpose)
            return price

    def charge_pure(self, epsilon: float, purpose: str) -> Cost:
        """Charge a pure epsilon, of something that answers in its own way.

        Raises:
            BudgetRefused: if too little is left; nothing was charged.
        """
        self._process.require()
        cost = self.pure_cost(epsilon)
        with self._lock:
            self._look()
            require_within(epsilon, self.epsilon, self.name)
            if not self._opened:
                self.ledger.open_account(self.name, self._budget())
                self._opened = True
            self.ledger.charge(cost, account=self.name, purpose=purpose)
        return cost

    def pure_cost(self, epsilon: float) -> Cost:
        """What `charge_pure` charges."""
        return self._priced(an_epsilon(epsilon), 0.0).cost

    def price(self, epsilon: float | None) -> Price:
        """What an answer would be charged now; nothing is charged.

        Raises:
            BudgetRefused: for more than the whole budget; and for all that is left, if nothing is.
        """
        with self._lock:
            self._look()
            return self._price(epsilon)

    def _look(self) -> None:
        """Another process over the same ledger may have opened the account."""
        if not self._opened and self._shared:
            self._opened = self._is_open()

    def _budget(self, additive: float | None = None) -> Budget:
        return Budget(self.epsilon, self.delta, delta_additive=additive, relation=Relation.change_one)

    def _priced(self, epsilon: float, delta: float, multiplier: float | None = None) -> Price:
        return Price(epsilon, delta, multiplier, adds_up=multiplier is not None, unit=self.unit)

    def _price(self, epsilon: float | None) -> Price:
        if epsilon is not None:
            require_within(an_epsilon(epsilon), self.epsilon, self.name)
        if not self._opened and self._is_whole(epsilon):
            return self._priced(self.epsilon, self.delta)
        left = self._left()
        return self._rest(left) if epsilon is None else self._part(epsilon, left)

    def _is_whole(self, epsilon: float | None) -> bool:
        return epsilon is None or epsilon == self.epsilon

    def _left(self) -> Remaining:
        if self._opened:
            return self.ledger.remaining(self.name)
        with Ledger.open(":memory:") as tried:
            tried.open_account(self.name, self._budget())
            return tried.remaining(self.name)

    def _part(self, epsilon: float, left: Remaining) -> Price:
        """By its Renyi curve while that fits, since many small answers add up better so; else as a whole."""
        if self.delta == 0:
            return self._priced(epsilon, 0.0)
        multiplier = gaussian_noise_multiplier(epsilon, self.delta)
        if multiplier >= left.gaussian:
            return self._priced(epsilon, self.delta, multiplier)
        return self._priced(epsilon, left.delta)

    def _rest(self, left: Remaining) -> Price:
        """All that is left, in the form that needs less noise."""
        as_whole = float("inf")
        if left.epsilon > 0 and left.delta > 0:
            as_whole = gaussian_noise_multiplier(left.epsilon, left.delta)
        if left.gaussian < as_whole:
            return self._priced(max(left.epsilon, 1e-9), self.delta, left.gaussian)
        if left.epsilon > 0 and (left.delta > 0 or self.delta == 0):
            return self._priced(left.epsilon, left.delta)
        raise BudgetRefused(
            "the budget is spent, for the data's lifetime",
            clause=f"account {self.name}",
            asked="all that is left",
            left=left.words(),
            would_pass="nothing more",
        )


def require_within(epsilon: float, whole: float, account: str) -> None:
    """Refuse more than a whole budget before its account is opened, which settles how delta is split.

    Raises:
        BudgetRefused: naming the account.
    """
    if epsilon > whole:
        raise BudgetRefused(
            f"one answer cannot cost more than the whole budget, epsilon {whole:.10g}",
            clause=f"account {account}",
            asked=f"epsilon {epsilon:.10g}",
            would_pass="a smaller epsilon, or none: all that is left",
        )
