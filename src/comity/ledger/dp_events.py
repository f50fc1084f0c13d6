"""Events of dp_accounting as costs, from a closed list; the library is loaded only when an event comes in.

An event's noise multiplier is taken relative to the sensitivity in the account's unit and relation. Classes
outside the list are refused, never looked up by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from comity.errors import UsageError
from comity.ledger.costs import (
    INFINITY,
    ORDERS,
    Cost,
    PrivacyUnit,
    Relation,
    composed,
    discrete_laplace,
    gaussian,
    laplace,
    pure,
    randomized_response,
    renyi,
    zcdp,
)

_NUMERICAL_SLACK: Final = 1e-9
"""What is added, relatively, to curves that dp_accounting sums up in floating point."""


def cost_of(event: object, unit: PrivacyUnit, relation: Relation) -> Cost:
    """The cost of an event.

    Raises:
        UsageError: if it is no cost and no event of the closed list, or does not fit the relation.
    """
    if isinstance(event, Cost):
        return event
    if not type(event).__module__.startswith("dp_accounting"):
        raise UsageError(
            f"a charge is a comity.ledger Cost or a dp_accounting event, not {type(event).__name__}; "
            "write for example pure(0.1, unit=..., relation=...)"
        )
    convert = _converters().get(type(event))
    if convert is None:
        raise UsageError(
            f"{type(event).__name__} has no price here; charge a comity.ledger Cost instead "
            "(for a release without differential privacy: without_dp)"
        )
    return convert(event, unit, relation)


Converter = Callable[[Any, PrivacyUnit, Relation], Cost]


def _converters() -> Mapping[type, Converter]:
    from dp_accounting import dp_event as known  # pyright: ignore[reportMissingTypeStubs]

    return {
        known.NoOpDpEvent: lambda event, unit, relation: pure(0, unit=unit, relation=relation),
        known.GaussianDpEvent: lambda event, unit, relation: gaussian(
            event.noise_multiplier, unit=unit, relation=relation
        ),
        known.LaplaceDpEvent: lambda event, unit, relation: laplace(
            event.noise_multiplier, unit=unit, relation=relation
        ),
        known.DiscreteLaplaceDpEvent: lambda event, unit, relation: discrete_laplace(
            event.noise_parameter, event.sensitivity, unit=unit, relation=relation
        ),
        known.RandomizedResponseDpEvent: _randomized_response,
        known.ZCDpEvent: _concentrated,
        known.PoissonSampledDpEvent: _sampled,
        known.ComposedDpEvent: _composed,
        known.SelfComposedDpEvent: _repeated,
    }


def _randomized_response(event: Any, unit: PrivacyUnit, relation: Relation) -> Cost:
    """Truth with probability 1 - p, otherwise uniform: exp(epsilon) = (1 - p + p/k) / (p/k)."""
    share, values = float(event.noise_parameter), int(event.num_buckets)
    if not 0 < share <= 1 or values < 1:
        raise UsageError("randomized response needs noise_parameter in (0, 1] and num_buckets of 1 or more")
    if values == 1 or share == 1:
        return pure(0, unit=unit, relation=relation)
    epsilon = math.log(values / share - values + 1) * (1 + 1e-12)
    return randomized_response(epsilon, values, unit=unit, relation=relation)


def _concentrated(event: Any, unit: PrivacyUnit, relation: Relation) -> Cost:
    if event.xi:
        raise UsageError("only rho-concentrated events (xi = 0) have a price here")
    return zcdp(event.rho, unit=unit, relation=relation)


def _sampled(event: Any, unit: PrivacyUnit, relation: Relation) -> Cost:
    """Gaussian noise on a Poisson sample; its orders are best opened by hand (`Budget.orders`)."""
    from dp_accounting.rdp import RdpAccountant  # pyright: ignore[reportMissingTypeStubs]

    if relation != Relation.add_remove:
        raise UsageError("a Poisson sample is priced for add-remove; this account is kept per change-one")
    accountant = RdpAccountant(list(ORDERS[:INFINITY]))
    if not accountant.supports(event):
        raise UsageError("only Gaussian noise on a Poisson sample has a price here")
    accountant.compose(event)
    sums = cast("list[float]", cast(Any, accountant).rdp.tolist())
    heights = [height * (1 + _NUMERICAL_SLACK) for height in sums]
    return renyi([*heights, None], unit=unit, relation=relation)


def _composed(event: Any, unit: PrivacyUnit, relation: Relation) -> Cost:
    parts = [cost_of(part, unit, relation) for part in event.events]
    return composed([pure(0, unit=unit, relation=relation), *parts])


def _repeated(event: Any, unit: PrivacyUnit, relation: Relation) -> Cost:
    if type(event.count) is not int or event.count < 0:
        raise UsageError(f"an event is repeated a whole number of times, not {event.count!r}")
    return cost_of(event.event, unit, relation).times(event.count)
