"""What a cost per one unit says about another: PRIVACY.md's rules, and the weak triangle inequality."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.errors import BadInput
from comity.ledger.costs import (
    FEMTO,
    INFINITY,
    NANO,
    ORDERS,
    approximate,
    discrete_laplace,
    exponential,
    gaussian,
    in_terms_of,
    laplace,
    pure,
    renyi,
    without_dp,
)
from comity.ledger.implications import TERMS, steps

LABEL = ("label", "change-one")
RECORD = {"unit": "record", "relation": "add-remove"}


def test_record_add_remove_at_rho_implies_four_rho_for_a_label() -> None:
    cost = gaussian(2, **RECORD)
    assert in_terms_of(cost, *LABEL).curve == gaussian(1, unit="label", relation="change-one").curve


def test_a_label_cost_says_nothing_about_anything_else() -> None:
    cost = pure(0.1, unit="label", relation="change-one")
    for terms in TERMS:
        assert in_terms_of(cost, *terms).bounded == (terms == LABEL)


@pytest.mark.parametrize(
    ("stated", "wanted", "count"),
    [
        (("record", "add-remove"), ("record", "add-remove"), 1),
        (("record", "add-remove"), ("record", "change-one"), 2),
        (("record", "change-one"), ("label", "change-one"), 1),
        (("record", "change-one"), ("record", "add-remove"), None),
        (("record", "add-remove"), ("person", "add-remove"), None),
        (("person", "add-remove"), ("record", "add-remove"), 2),
        (("person", "change-one"), ("record", "change-one"), 1),
        (("party", "add-remove"), ("label", "change-one"), 2),
        (("label", "change-one"), ("record", "change-one"), None),
    ],
)
def test_steps(stated: tuple[str, str], wanted: tuple[str, str], count: int | None) -> None:
    known = {(str(unit), str(relation)): (unit, relation) for unit, relation in TERMS}
    assert steps(known[stated], known[wanted]) == count


def test_pure_epsilon_doubles() -> None:
    assert in_terms_of(pure(0.3, **RECORD), *LABEL).curve == pure(0.6, **RECORD).curve


def test_laplace_and_exponential_keep_their_shape() -> None:
    assert in_terms_of(laplace(4, **RECORD), *LABEL).curve == laplace(2, **RECORD).curve
    assert in_terms_of(exponential(0.2, **RECORD), *LABEL).curve == exponential(0.4, **RECORD).curve


def test_an_additive_delta_grows_with_epsilon() -> None:
    implied = in_terms_of(approximate(0.5, 1e-7, **RECORD), *LABEL)
    assert implied.curve == pure(1.0, **RECORD).curve
    assert implied.delta == math.ceil((1 + math.exp(0.5)) * 1e-7 * FEMTO)
    assert not in_terms_of(approximate(50, 1e-7, **RECORD), *LABEL).bounded


def test_delta_without_an_epsilon_implies_nothing() -> None:
    assert not in_terms_of(gaussian(2, **RECORD) + approximate(0.1, 1e-9, **RECORD), *LABEL).bounded


def test_no_guarantee_stays_none() -> None:
    assert not in_terms_of(without_dp(**RECORD), *LABEL).bounded


def test_a_label_does_not_come_or_go() -> None:
    with pytest.raises(BadInput, match="it changes"):
        in_terms_of(pure(1, **RECORD), "label", "add-remove")


def test_the_triangle_is_near_four_times_for_a_gaussian_curve() -> None:
    """On the same curve, not known to be Gaussian; with a continuum of orders it would be 4 exactly."""
    known = gaussian(10, **RECORD)
    unknown = renyi([None if h is None else h / NANO for h in known.curve], **RECORD)
    implied = in_terms_of(unknown, *LABEL)
    ratios = [
        b / a for a, b in zip(known.curve, implied.curve, strict=True) if a is not None and b is not None
    ]
    assert len(ratios) >= INFINITY - 3
    assert all(ratio >= 3.99 for ratio in ratios)
    assert all(ratio <= 5.1 for ratio, order in zip(ratios, ORDERS, strict=False) if 3 <= order <= 4097)


def test_mironov_proposition_2_is_a_case() -> None:
    """Order 2b at height h gives order b at 3h at most (b >= 2): the search is never worse, on the grid."""
    heights = [min(0.02 * order, 3.0) for order in ORDERS[:INFINITY]]
    implied = in_terms_of(renyi([*heights, None], **RECORD), *LABEL)
    for place, order in enumerate(ORDERS[:INFINITY]):
        above = [heights[far] for far, other in enumerate(ORDERS[:INFINITY]) if other >= 2 * order]
        if order >= 2 and above:
            value = implied.curve[place]
            assert value is not None
            assert value <= math.ceil(3 * above[0] * NANO) + 2


def height(p: np.ndarray, q: np.ndarray, order: float) -> float:
    if math.isinf(order):
        return float(np.log(p / q).max())
    exponent = order * np.log(p) + (1 - order) * np.log(q)
    return float((exponent.max() + np.log(np.exp(exponent - exponent.max()).sum())) / (order - 1))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 2))
def test_two_steps_never_pass_what_is_implied(seed: int, spread: float) -> None:
    """Three tables in a row, each with its own distribution: neighbours obey the curve, the ends too."""
    rng = np.random.default_rng(seed)
    tables = [rng.normal(size=5) * spread for _ in range(3)]
    near, middle, far = (np.exp(t) / np.exp(t).sum() for t in tables)
    pairs = [(near, middle), (middle, near), (middle, far), (far, middle)]
    curve = [max(height(p, q, order) for p, q in pairs) for order in ORDERS]
    implied = in_terms_of(renyi(curve, **RECORD), *LABEL)
    for order, bound in zip(ORDERS, implied.curve, strict=True):
        assert bound is not None
        assert max(height(near, far, order), height(far, near, order)) <= bound / NANO + 1e-9


def test_discrete_laplace_implies_no_more_than_twice_its_epsilon() -> None:
    cost = discrete_laplace(0.01, 30, **RECORD)
    truth = discrete_laplace(0.01, 60, **RECORD)
    for bound, true in zip(in_terms_of(cost, *LABEL).curve, truth.curve, strict=True):
        assert bound is not None
        assert true is not None
        assert true <= bound
    assert in_terms_of(cost, *LABEL).curve[INFINITY] == truth.curve[INFINITY]
