"""Accounts and budgets: how they are written, what they open, and that no order's own budget is too large."""

import math
from fractions import Fraction

import mpmath
import pytest
from dp_accounting.rdp import rdp_privacy_accountant
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.errors import BadInput, UsageError
from comity.ledger.accounts import Account, Budget
from comity.ledger.currency import INFINITY, NANO, ORDERS, PrivacyUnit, Relation

budgets = st.builds(
    Budget,
    epsilon=st.floats(0.003, 60),
    delta=st.floats(1e-12, 0.2),
    delta_additive=st.none(),
)


def test_accounts_are_written_and_read() -> None:
    account = Account("hospital-a", "adult", PrivacyUnit.label)
    assert str(account) == "hospital-a/adult/label"
    assert Account.parse("hospital-a/adult/label") == account
    assert Account("hospital-a", "adult", "label") == account
    assert str(Account.parse("hospital-a")) == "hospital-a/default/record"
    assert str(Account.parse("hospital-a/adult")) == "hospital-a/adult/record"


@pytest.mark.parametrize("text", ["", "/", "a//label", "a/b/row", "a/b/label/c", " a/b/label", "a/b\n/label"])
def test_what_is_no_account(text: str) -> None:
    with pytest.raises(BadInput):
        Account.parse(text)


@settings(max_examples=60, deadline=None)
@given(budgets)
def test_caps_are_the_formula_rounded_down(budget: Budget) -> None:
    settled = budget.settled(PrivacyUnit.record)
    *finite, last = settled.caps
    assert last == (INFINITY, round(settled.epsilon * NANO))
    assert settled.orders is not None
    with mpmath.workdps(50):
        share = (mpmath.mpf(repr(settled.delta)) - mpmath.mpf(repr(settled.delta_additive))) / len(
            settled.orders
        )
        for place, cap in finite:
            alpha = mpmath.mpf(repr(ORDERS[place]))
            truth = (
                mpmath.mpf(repr(settled.epsilon))
                + (mpmath.log(share) + mpmath.log(alpha)) / (alpha - 1)
                - mpmath.log((alpha - 1) / alpha)
            )
            assert cap <= truth * NANO
            assert cap + 1 > truth * NANO - mpmath.mpf("1e-3")


@settings(max_examples=60, deadline=None)
@given(budgets)
def test_each_order_alone_gives_epsilon_by_dp_accounting(budget: Budget) -> None:
    settled = budget.settled(PrivacyUnit.record)
    assert settled.orders is not None
    share = (settled.delta - (settled.delta_additive or 0)) / max(len(settled.orders), 1)
    for place, cap in settled.caps[:-1]:
        epsilon, _ = rdp_privacy_accountant.compute_epsilon([ORDERS[place]], [cap / NANO], share)
        assert epsilon <= settled.epsilon * (1 + 1e-9) + 1e-9


@settings(max_examples=60, deadline=None)
@given(budgets)
def test_a_budget_round_trips(budget: Budget) -> None:
    settled = budget.settled(PrivacyUnit.label)
    again = Budget.from_dict(settled.to_dict())
    assert again == settled
    assert again.caps == settled.caps
    assert again.settled(PrivacyUnit.label) == settled


def test_defaults() -> None:
    settled = Budget(1, 1e-6).settled(PrivacyUnit.label)
    assert settled.delta_additive == 5e-7
    assert settled.relation == Relation.change_one
    assert Budget(1, 1e-6).settled(PrivacyUnit.person).relation == Relation.add_remove
    assert settled.additive_share == Fraction(1, 2)


def test_a_pure_budget_opens_infinity_alone() -> None:
    assert Budget(0.5, 0).settled(PrivacyUnit.record).caps == ((INFINITY, 500_000_000),)


def test_orders_opened_by_hand() -> None:
    settled = Budget(2, 1e-5, orders=(9.0, 5.0)).settled(PrivacyUnit.record)
    assert settled.orders == (5.0, 9.0)
    with pytest.raises(UsageError, match="orders must be among"):
        Budget(2, 1e-5, orders=(7.5,))


def test_the_same_budget_with_orders_chosen_by_another_version() -> None:
    settled = Budget(2, 1e-5, orders=(5.0, 9.0)).settled(PrivacyUnit.record)
    assert settled.is_what(Budget(2, 1e-5), PrivacyUnit.record)
    assert not settled.is_what(Budget(2, 1e-5, orders=(5.0,)), PrivacyUnit.record)
    assert not settled.is_what(Budget(2, 1e-5, 1e-6), PrivacyUnit.record)
    assert not settled.is_what(Budget(2, 1e-5, relation="change-one"), PrivacyUnit.record)


def test_a_label_budget_is_per_change_one() -> None:
    with pytest.raises(BadInput, match="it changes"):
        Budget(1, 1e-6, relation=Relation.add_remove).settled(PrivacyUnit.label)


@pytest.mark.parametrize(
    "values",
    [(-1, 0), (1, 1), (1, -1e-9), (math.nan, 0), (math.inf, 0), (1, 1e-6, 2e-6), (1, 1e-6, -1e-9)],
)
def test_bad_budgets(values: tuple[float, ...]) -> None:
    with pytest.raises(UsageError):
        Budget(*values)


@pytest.mark.parametrize("change", [{"epsilon": "1"}, {"relation": "x"}, {"orders": ["7.5"]}, {"more": 1}])
def test_a_damaged_budget(change: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        Budget.from_dict({**Budget(1, 1e-6).settled(PrivacyUnit.label).to_dict(), **change})
