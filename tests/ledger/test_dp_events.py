"""Events of dp_accounting as costs: the closed list, and nothing else."""

import pytest
from dp_accounting import dp_event
from dp_accounting.rdp import RdpAccountant

from comity.errors import UsageError
from comity.ledger.costs import (
    INFINITY,
    NANO,
    ORDERS,
    PrivacyUnit,
    Relation,
    discrete_laplace,
    gaussian,
    laplace,
    pure,
    randomized_response,
    zcdp,
)
from comity.ledger.dp_events import cost_of

RECORD = (PrivacyUnit.record, Relation.add_remove)
LABEL = (PrivacyUnit.label, Relation.change_one)
TERMS = {"unit": "record", "relation": "add-remove"}


@pytest.mark.parametrize(
    ("event", "cost"),
    [
        (dp_event.NoOpDpEvent(), pure(0, **TERMS)),
        (dp_event.GaussianDpEvent(3.0), gaussian(3.0, **TERMS)),
        (dp_event.LaplaceDpEvent(3.0), laplace(3.0, **TERMS)),
        (dp_event.DiscreteLaplaceDpEvent(0.5, 2), discrete_laplace(0.5, 2, **TERMS)),
        (dp_event.ZCDpEvent(0.01), zcdp(0.01, **TERMS)),
        (dp_event.SelfComposedDpEvent(dp_event.GaussianDpEvent(3.0), 4), gaussian(3.0, **TERMS).times(4)),
        (
            dp_event.ComposedDpEvent([dp_event.GaussianDpEvent(3.0), dp_event.LaplaceDpEvent(2.0)]),
            gaussian(3.0, **TERMS) + laplace(2.0, **TERMS),
        ),
    ],
)
def test_the_closed_list(event: object, cost: object) -> None:
    assert cost_of(event, *RECORD) == cost


def test_randomized_response() -> None:
    cost = cost_of(dp_event.RandomizedResponseDpEvent(0.5, 3), *LABEL)
    # truth with 1/2 + 1/6, each other answer with 1/6
    assert cost.epsilon == pytest.approx(1.3862943611)
    expected = randomized_response(1.3862943611, 3, unit="label", relation="change-one")
    assert cost.curve[3] == pytest.approx(expected.curve[3], rel=1e-8)
    with pytest.raises(UsageError, match="noise_parameter"):
        cost_of(dp_event.RandomizedResponseDpEvent(0.0, 3), *LABEL)
    assert cost_of(dp_event.RandomizedResponseDpEvent(1.0, 3), *LABEL).epsilon == 0


def test_a_poisson_sample_is_dp_accountings_curve() -> None:
    event = dp_event.PoissonSampledDpEvent(0.01, dp_event.GaussianDpEvent(1.0))
    cost = cost_of(dp_event.SelfComposedDpEvent(event, 100), *RECORD)
    accountant = RdpAccountant(list(ORDERS[:INFINITY]))
    accountant.compose(event, 100)
    for height, true in zip(cost.curve[:8], accountant.rdp, strict=False):
        assert height is not None
        assert true * NANO <= height <= true * NANO * (1 + 1e-8) + 101
    with pytest.raises(UsageError, match="add-remove"):
        cost_of(event, *LABEL)


class Strange:
    __module__ = "dp_accounting.made_up"


@pytest.mark.parametrize(
    "event",
    [
        dp_event.NonPrivateDpEvent(),
        dp_event.UnsupportedDpEvent(),
        dp_event.SampledWithoutReplacementDpEvent(10, 1, dp_event.GaussianDpEvent(1.0)),
        dp_event.PoissonSampledDpEvent(0.1, dp_event.LaplaceDpEvent(1.0)),
        dp_event.ZCDpEvent(0.1, 0.1),
        dp_event.SelfComposedDpEvent(dp_event.GaussianDpEvent(1.0), -1),
        dp_event.ComposedDpEvent([dp_event.NonPrivateDpEvent()]),
        Strange(),
        {"class_name": "GaussianDpEvent"},
        "GaussianDpEvent",
        None,
    ],
)
def test_everything_else_is_refused(event: object) -> None:
    with pytest.raises(UsageError):
        cost_of(event, *RECORD)
