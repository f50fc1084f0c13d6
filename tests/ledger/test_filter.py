"""The filter against independent reckonings: never beyond the budget, never short of what it allows."""

import itertools
import math
import random
from dataclasses import dataclass

import mpmath
import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from comity.ledger.accounts import Account, Budget
from comity.ledger.costs import (
    FEMTO,
    INFINITY,
    NANO,
    ORDERS,
    Cost,
    approximate,
    exponential,
    gaussian,
    laplace,
    pure,
)
from comity.ledger.replay import Accounts, Charge
from comity.ledger.totals import Total

RECORD = {"unit": "record", "relation": "add-remove"}
ACCOUNT = Account("hospital", "adult", "record")

budgets = st.builds(
    lambda epsilon, delta, share: Budget(epsilon, delta, delta * share).settled(ACCOUNT.unit),
    st.floats(0.05, 8).map(lambda x: round(x, 6)),
    st.floats(1e-9, 0.05),
    st.sampled_from([0.0, 0.5, 0.9]),
)
small = st.floats(0.02, 0.6).map(lambda x: round(x, 6))
multipliers = st.floats(1.5, 40).map(lambda x: round(x, 6))
costs = st.one_of(
    st.builds(lambda e: pure(e, **RECORD), small),
    st.builds(lambda m: gaussian(m, **RECORD), multipliers),
    st.builds(lambda m: laplace(m, **RECORD), multipliers),
    st.builds(lambda e: exponential(e, **RECORD), small),
    st.builds(lambda e, d: approximate(e, d, **RECORD), small, st.floats(1e-10, 1e-3)),
)


def spend(budget: Budget, offered: list[Cost]) -> tuple[list[Cost], list[Cost]]:
    """What an account with this budget admits of what it is offered, and what it refuses."""
    accounts = opened(budget)
    admitted: list[Cost] = []
    refused: list[Cost] = []
    for cost in offered:
        charge = Charge(ACCOUNT, cost)
        if accounts.obstacle(charge) is None:
            accounts.apply("charged", charge.to_dict())
            admitted.append(cost)
        else:
            refused.append(cost)
    return admitted, refused


def opened(budget: Budget) -> Accounts:
    accounts = Accounts()
    accounts.apply("opened", {"account": str(ACCOUNT), "budget": budget.to_dict()})
    return accounts


TWIN_ERROR = mpmath.mpf("1e-20")
"""What the twin itself is off by at most: its 40 digits are binary, and 0.503906 is not."""


def real_caps(budget: Budget) -> dict[float, mpmath.mpf]:
    """The formula of `accounts`, straight, in 40 digits."""
    orders = budget.orders or ()
    epsilon = mpmath.mpf(repr(budget.epsilon))
    caps = {math.inf: epsilon}
    left = mpmath.mpf(repr(budget.delta)) - mpmath.mpf(repr(budget.delta_additive))
    for order in orders if left > 0 else ():
        alpha = mpmath.mpf(repr(order))
        share = left / len(orders)
        caps[order] = (
            epsilon + (mpmath.log(share) + mpmath.log(alpha)) / (alpha - 1) - mpmath.log((alpha - 1) / alpha)
        )
    return caps


def room(budget: Budget, charged: list[Cost]) -> mpmath.mpf:
    """How far inside its budget the best order is, in units of 1e-9 nats; negative when all have passed."""
    best = mpmath.mpf("-inf")
    for order, cap in real_caps(budget).items():
        heights = [cost.curve[ORDERS.index(order)] for cost in charged]
        if cap >= 0 and None not in heights:
            best = max(best, cap * NANO - sum(height or 0 for height in heights))
    return best


@settings(max_examples=150, deadline=None)
@given(budgets, st.lists(costs, min_size=1, max_size=25))
def test_what_is_admitted_is_exactly_what_the_formula_allows(budget: Budget, offered: list[Cost]) -> None:
    with mpmath.workdps(40):
        accounts = opened(budget)
        charged: list[Cost] = []
        cap = round(budget.delta_additive * FEMTO)
        for cost in offered:
            allowed = room(budget, [*charged, cost])
            fits = sum(one.delta for one in [*charged, cost]) <= cap
            charge = Charge(ACCOUNT, cost)
            if accounts.obstacle(charge) is None:
                assert fits
                assert allowed > -TWIN_ERROR
                accounts.apply("charged", charge.to_dict())
                charged.append(cost)
            else:
                assert not fits or allowed < 1  # the caps are rounded down to one unit


@settings(max_examples=60, deadline=None)
@given(budgets, st.lists(costs, max_size=12), st.randoms(use_true_random=False))
def test_totals_do_not_depend_on_order(budget: Budget, charged: list[Cost], chance: random.Random) -> None:
    def total(order: list[Cost]) -> Total:
        result = Total(ACCOUNT.unit, budget.relation)
        for cost in order:
            result = result.after(cost)
        return result

    shuffled = chance.sample(charged, len(charged))
    assert total(charged) == total(shuffled)
    assert total(charged).within(budget) == total(shuffled).within(budget)


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize(("epsilon", "step"), [(1.0, 0.1), (0.3, 0.01), (2.0, 0.125), (1.0, 0.001)])
def test_pure_charges_fill_the_budget_to_the_last_one(epsilon: float, step: float, share: float) -> None:
    """With delta 0, floor(budget / cost) and not one less; with delta, never fewer."""
    whole = round(epsilon / step)
    offered = [pure(step, **RECORD)] * (whole + 1)
    admitted, _ = spend(Budget(epsilon, 0).settled(ACCOUNT.unit), offered)
    assert len(admitted) == whole
    admitted, _ = spend(Budget(epsilon, 1e-6, 1e-6 * share).settled(ACCOUNT.unit), offered)
    assert len(admitted) >= whole


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0.2, 6),
    st.floats(1e-9, 1e-3),
    st.lists(st.tuples(st.booleans(), st.floats(2.0, 60)), min_size=1, max_size=40),
)
def test_against_dp_accountings_rdp(epsilon: float, delta: float, sequence: list[tuple[bool, float]]) -> None:
    """Gaussian and Laplace noise: admitted if and only if RdpAccountant, at the open orders, says epsilon."""
    budget = Budget(epsilon, delta, 0.0).settled(ACCOUNT.unit)
    assume(budget.orders)
    accounts = opened(budget)
    oracle = RdpAccountant(list(budget.orders))
    for is_gaussian, multiplier in sequence:
        event = (dp_event.GaussianDpEvent if is_gaussian else dp_event.LaplaceDpEvent)(multiplier)
        cost = (gaussian if is_gaussian else laplace)(multiplier, **RECORD)
        trial = RdpAccountant(list(budget.orders))
        trial._rdp = oracle.rdp.copy()
        trial.compose(event)
        said = trial.get_epsilon(budget.delta / len(budget.orders))
        charge = Charge(ACCOUNT, cost)
        if accounts.obstacle(charge) is None:
            pure_sum = accounts.totals(ACCOUNT)[0].after(cost).curve[INFINITY]
            by_infinity = pure_sum is not None and pure_sum <= budget.epsilon * NANO
            assert by_infinity or said <= budget.epsilon + 1e-9
            accounts.apply("charged", charge.to_dict())
            oracle = trial
        else:
            assert said > budget.epsilon - 1e-6


@pytest.mark.parametrize(
    ("epsilon", "delta", "multiplier", "laplace_scale"),
    [(1.0, 1e-6, 30.0, 50.0), (0.3, 1e-5, 80.0, 200.0), (4.0, 1e-9, 8.0, 20.0)],
)
def test_against_dp_accountings_pld(
    epsilon: float, delta: float, multiplier: float, laplace_scale: float
) -> None:
    """The exact delta of everything admitted stays within the budget's, and uses a good part of epsilon."""
    budget = Budget(epsilon, delta, 0.0).settled(ACCOUNT.unit)
    accounts, counts = opened(budget), [0, 0]
    for turn in itertools.count():
        cost = gaussian(multiplier, **RECORD) if turn % 3 else laplace(laplace_scale, **RECORD)
        charge = Charge(ACCOUNT, cost)
        if accounts.obstacle(charge) is not None:
            break
        accounts.apply("charged", charge.to_dict())
        counts[0 if turn % 3 else 1] += 1
    exact = PLDAccountant(value_discretization_interval=1e-3)
    exact.compose(dp_event.GaussianDpEvent(multiplier), counts[0])
    exact.compose(dp_event.LaplaceDpEvent(laplace_scale), counts[1])
    assert exact.get_epsilon(delta) <= epsilon
    assert exact.get_epsilon(delta) >= 0.8 * epsilon


@dataclass(frozen=True)
class Question:
    """`times` randomized responses of `epsilon`, after a leak of everything with probability `delta`."""

    epsilon: float
    times: int
    delta: float

    @property
    def cost(self) -> Cost:
        cost = pure(self.epsilon, **RECORD).times(self.times)
        if not self.delta:
            return cost
        return Cost(cost.unit, cost.relation, "composed", cost.curve, math.ceil(self.delta * FEMTO))

    def outcomes(self) -> list[tuple[object, float, float]]:
        """(answer, its probability on one table, on the neighbour); the number of ones says it all."""
        p = 1 / (1 + math.exp(-self.epsilon))
        keep = 1 - self.delta
        counts = [
            (
                ones,
                keep * math.comb(self.times, ones) * p**ones * (1 - p) ** (self.times - ones),
                keep * math.comb(self.times, ones) * (1 - p) ** ones * p ** (self.times - ones),
            )
            for ones in range(self.times + 1)
        ]
        leaks = [("here", self.delta, 0.0), ("there", 0.0, self.delta)] if self.delta else []
        return [*counts, *leaks]


def conversation(
    budget: Budget, menu: list[Question], seed: int, depth: int, *, weighed_at: float | None = None
) -> tuple[float, float]:
    """A conversation whose questions depend on the answers, over all its paths.

    Returns:
        Its exact hockey-stick divergence at `weighed_at` (None: the budget's epsilon), and the largest sum
        of pure epsilons on any path.
    """
    excess, most = 0.0, 0.0
    factor = math.exp(budget.epsilon if weighed_at is None else weighed_at)

    def ask(accounts: Total, history: tuple[object, ...], p: float, q: float) -> None:
        nonlocal excess, most
        chance = random.Random(f"{seed}{history}")
        question = chance.choice(menu)
        # a greedy adversary: it takes the first question that is still admitted, from where chance points
        order = menu[menu.index(question) :] + menu[: menu.index(question)]
        admitted = [one for one in order if accounts.admits(one.cost, budget)]
        if len(history) == depth or not admitted or p == 0:
            excess += max(0.0, p - factor * q)
            most = max(most, (accounts.curve[INFINITY] or 0) / NANO)
            return
        after = accounts.after(admitted[0].cost)
        for answer, here, there in admitted[0].outcomes():
            ask(after, (*history, answer), p * here, q * there)

    ask(Total(ACCOUNT.unit, budget.relation), (), 1.0, 1.0)
    return excess, most


@settings(max_examples=15, deadline=None)
@given(
    epsilon=st.floats(0.2, 1.5),
    delta=st.floats(0.005, 0.2),
    share=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(st.floats(0.05, 0.4), st.floats(0.05, 0.4), st.floats(0.2, 1.0)),
)
def test_adaptive_conversations_stay_within_epsilon_and_delta(
    epsilon: float, delta: float, share: float, seed: int, sizes: tuple[float, float, float]
) -> None:
    """All paths of an adaptive conversation, weighed exactly: P(S) - e^epsilon Q(S) <= delta for every S."""
    budget = Budget(epsilon, delta, delta * share).settled(ACCOUNT.unit)
    menu = [
        Question(sizes[0], 12, 0.0),
        Question(sizes[1], 5, 0.0),
        Question(sizes[2], 1, 0.0),
        Question(sizes[1], 2, delta * share / 3),
    ]
    excess, _ = conversation(budget, menu, seed, depth=4)
    assert excess <= delta * (1 + 1e-9)


def test_the_conversations_reach_beyond_pure_epsilon_and_their_weighing_can_fail() -> None:
    menu = [Question(0.05, 20, 0.0), Question(0.1, 8, 0.0)]
    budget = Budget(1.0, 0.1, 0.0).settled(ACCOUNT.unit)
    excess, most = conversation(budget, menu, 3, depth=3)
    assert most > 1.5  # more than pure composition would admit
    assert 0 < excess <= 0.1
    lavish = Budget(4.0, 0.1, 0.0).settled(ACCOUNT.unit)
    excess, _ = conversation(lavish, [Question(0.5, 8, 0.0)], 3, depth=1, weighed_at=1.0)
    assert excess > 0.1


def remaining_is_sharp(accounts: Accounts, budget: Budget) -> None:
    left = accounts.remaining(ACCOUNT, (ACCOUNT.unit, budget.relation))
    epsilon, delta = left.approximate()
    assert accounts.obstacle(Charge(ACCOUNT, approximate(epsilon, delta, **RECORD))) is None
    assert accounts.obstacle(Charge(ACCOUNT, pure(epsilon, **RECORD))) is None
    beyond = pure(round(epsilon * NANO + 1) / NANO, **RECORD)
    assert accounts.obstacle(Charge(ACCOUNT, beyond)) is not None
    if delta < 1 - 1e-9:
        more = approximate(epsilon, round(delta * FEMTO + 1) / FEMTO, **RECORD)
        assert accounts.obstacle(Charge(ACCOUNT, more)) is not None
    noise = left.noise_multiplier()
    if math.isfinite(noise):
        assert accounts.obstacle(Charge(ACCOUNT, gaussian(noise, **RECORD))) is None
        # rounding one charge to whole units is all that separates the least multiplier from refusal
        less = gaussian(noise * (1 - 1e-6) - 1e-6 * noise, **RECORD)
        if min(h for h in less.curve if h is not None) > 10**6:
            assert accounts.obstacle(Charge(ACCOUNT, less)) is not None


@settings(max_examples=60, deadline=None)
@given(budgets, st.lists(costs, max_size=6))
def test_what_remains_is_admitted_and_nothing_more(budget: Budget, offered: list[Cost]) -> None:
    accounts = opened(budget)
    for cost in offered:
        charge = Charge(ACCOUNT, cost)
        if accounts.obstacle(charge) is None:
            accounts.apply("charged", charge.to_dict())
    remaining_is_sharp(accounts, budget)


def test_what_is_shown_as_spent_grows_to_the_budget_and_not_beyond() -> None:
    budget = Budget(1.0, 1e-6).settled(ACCOUNT.unit)
    accounts = opened(budget)
    shown = [accounts.spent(ACCOUNT).epsilon]
    while accounts.obstacle(charge := Charge(ACCOUNT, gaussian(40, **RECORD))) is None:
        accounts.apply("charged", charge.to_dict())
        shown.append(accounts.spent(ACCOUNT).epsilon)
    assert shown[0] == 0
    assert shown == sorted(shown)
    assert 0.95 < shown[-1] <= 1.0
    assert accounts.spent(ACCOUNT).delta == pytest.approx(5e-7)


def test_costs_without_a_bound_are_refused() -> None:
    accounts = opened(Budget(5.0, 1e-6).settled(ACCOUNT.unit))
    assert accounts.obstacle(Charge(ACCOUNT, gaussian(1e-6, **RECORD))) is not None
    np.testing.assert_equal(accounts.spent(ACCOUNT).charges, 0)
