"""Costs in whole numbers: what they accept, how they add up, that their JSON form is strict."""

import json
import math
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.crypto.canonical import canonical_bytes
from comity.errors import BadInput, UsageError
from comity.ledger.costs import approximate, gaussian, laplace, pure, renyi, without_dp
from comity.ledger.currency import FEMTO, INFINITY, LARGEST, NANO, ORDERS, Cost, PrivacyUnit, Relation, exact

LABEL = {"unit": "label", "relation": "change-one"}
RECORD = {"unit": "record", "relation": "add-remove"}

heights = st.lists(st.integers(0, LARGEST), min_size=INFINITY + 1, max_size=INFINITY + 1).map(sorted)


@st.composite
def costs(draw: st.DrawFn) -> Cost:
    curve: list[int | None] = list(draw(heights))
    for place in range(draw(st.integers(0, INFINITY + 1)), INFINITY + 1):
        curve[place] = None
    return Cost(PrivacyUnit.record, Relation.add_remove, "renyi", tuple(curve), draw(st.integers(0, FEMTO)))


def test_orders_ascend_and_end_at_infinity() -> None:
    assert list(ORDERS) == sorted(ORDERS)
    assert ORDERS[INFINITY] == math.inf
    assert ORDERS[0] > 1


@pytest.mark.parametrize(
    ("value", "meaning"),
    [(0.1, Fraction(1, 10)), (1, Fraction(1)), (1e-6, Fraction(1, 10**6)), (Decimal("0.3"), Fraction(3, 10))],
)
def test_a_float_means_its_shortest_decimal(value: float, meaning: Fraction) -> None:
    assert exact(value, "it") == meaning


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "many"])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(UsageError, match="epsilon must be a finite number"):
        exact(value, "epsilon")


def test_ten_tenths_are_exactly_one() -> None:
    total = pure(0.1, **LABEL)
    for _ in range(9):
        total = total + pure(0.1, **LABEL)
    assert total.curve[INFINITY] == NANO


@given(costs())
def test_the_json_form_round_trips_and_is_canonical(cost: Cost) -> None:
    text = canonical_bytes(cost.to_dict())
    assert Cost.from_dict(json.loads(text)) == cost


@given(costs(), costs(), costs())
def test_sums_do_not_depend_on_order(a: Cost, b: Cost, c: Cost) -> None:
    assert ((a + b) + c).curve == ((c + b) + a).curve
    assert ((a + b) + c).delta == ((c + b) + a).delta


@given(costs(), costs())
def test_a_sum_is_never_below_its_parts(a: Cost, b: Cost) -> None:
    for x, total in zip(a.curve, (a + b).curve, strict=True):
        assert total is None or (x is not None and total >= x)


@given(st.integers(0, 50))
def test_times_is_repeated_addition(count: int) -> None:
    one = laplace(3, **RECORD)
    total = pure(0, **RECORD)
    for _ in range(count):
        total = total + one
    assert one.times(count).curve == total.curve


@pytest.mark.parametrize(
    "change",
    [
        {"unit": "row"},
        {"relation": "swap"},
        {"unit": "label", "relation": "add-remove"},
        {"mechanism": "magic"},
        {"mechanism": 3},
        {"curve": [1] * INFINITY},
        {"curve": "1"},
        {"curve": [1.0] * (INFINITY + 1)},
        {"curve": [True] * (INFINITY + 1)},
        {"curve": [-1] * (INFINITY + 1)},
        {"curve": [*range(INFINITY, -1, -1)]},
        {"curve": [None, *[1] * INFINITY]},
        {"curve": [*[1] * INFINITY, LARGEST + 1]},
        {"delta": -1},
        {"delta": 0.5},
        {"delta": FEMTO + 1},
        {"extra": 1},
    ],
)
def test_a_damaged_cost_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        Cost.from_dict({**pure(0.5, **RECORD).to_dict(), **change})


def test_a_missing_key_is_refused() -> None:
    document = pure(0.5, **RECORD).to_dict()
    del document["delta"]
    with pytest.raises(BadInput, match="a cost has unit"):
        Cost.from_dict(document)


def test_costs_in_different_terms_do_not_add_up() -> None:
    with pytest.raises(UsageError, match="in_terms_of"):
        pure(0.1, **LABEL) + pure(0.1, **RECORD)


def test_gaussians_stay_gaussian_and_others_become_composed() -> None:
    a, b = gaussian(2, **RECORD), gaussian(3, **RECORD)
    assert (a + b).mechanism == "gaussian"
    assert (a + pure(0, **RECORD)).mechanism == "gaussian"
    assert (a + laplace(1, **RECORD)).mechanism == "composed"
    assert (a + without_dp(**RECORD)).mechanism == "none"


def test_stating_a_cost_loads_no_engine() -> None:
    script = (
        "import sys, comity.ledger; from comity.ledger import Budget, Cost, gaussian; "
        "print(sorted({'sqlalchemy', 'scipy', 'numpy', 'dp_accounting'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (pure(0.5, **LABEL), "epsilon 0.5"),
        (approximate(0.5, 1e-7, **LABEL), "epsilon 0.5 and delta 1e-07"),
        (gaussian(2, **LABEL), "Gaussian noise of multiplier 2"),
        (without_dp(**LABEL), "no guarantee"),
        (renyi([*[0.25] * INFINITY, None], **LABEL), "a Renyi curve of 0.25 at order 17"),
    ],
)
def test_words(cost: Cost, words: str) -> None:
    assert cost.words() == words
