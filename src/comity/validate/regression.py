"""Metrics of numeric labels within declared bounds: mean errors and R squared, from sums of whole numbers.

Labels and predictions are held within the bounds and put on a grid of them; what is estimated is the metric
of those. Bias is the mean of prediction minus label.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import UsageError
from comity.validate.estimate import Base, Part, Question, Reader, fieller, joined
from comity.validate.metrics import known_metrics
from comity.validate.number_queries import DIFFERENCE, MAGNITUDE, SQUARE, DifferenceSum
from comity.validate.queries import owned

Floats = NDArray[np.float64]

NUMBER_METRICS: Final = ("bias", "mae", "mean", "mse", "r2", "rmse")
_BITS: Final = 16


def grid_unit(records: int) -> int:
    """How fine a grid sums of squares over so many records fit on: 2^16 up to 16 million, then coarser."""
    return 1 << min(_BITS, (56 - max(records, 1).bit_length()) // 2)


def on_grid(values: Floats, bounds: tuple[float, float], unit: int) -> NDArray[np.int64]:
    """(n,) whole numbers 0 .. unit; what lies outside the bounds is held at them."""
    low, high = bounds
    return np.rint((np.clip(values, low, high) - low) / (high - low) * unit).astype(np.int64)


def number_parts(
    scores: Floats, metrics: Sequence[str], bounds: tuple[float, float], unit: int
) -> tuple[list[Part], tuple[str, ...], dict[str, Any]]:
    """The base statistics for the metrics, the metrics, and public facts.

    Args:
        scores: (n,) finite predictions.
        metrics: out of `NUMBER_METRICS`.
        bounds: of the labels.
        unit: of the labels' grid.

    Raises:
        UsageError: for unknown metrics and no records.
    """
    wanted = known_metrics(metrics, NUMBER_METRICS)
    if not len(scores):
        raise UsageError("there is no record to give feedback on")
    predicted = owned(on_grid(scores, bounds, unit))
    middle = owned(np.full(len(scores), unit // 2, dtype=np.int64))
    facts: dict[str, Any] = {
        "records": len(scores),
        "bounds": tuple(bounds),
        "step": (bounds[1] - bounds[0]) / unit,
        "predicted": float(predicted.mean()) - unit // 2,
        "middle": unit // 2,
    }
    parts: list[Part] = []
    if {"mean", "bias", "r2"} & set(wanted):
        parts.append(Part("sum", DifferenceSum(middle, unit, DIFFERENCE)))
    if "mae" in wanted:
        parts.append(Part("magnitudes", DifferenceSum(predicted, unit, MAGNITUDE)))
    if {"mse", "rmse", "r2"} & set(wanted):
        parts.append(Part("squares", DifferenceSum(predicted, unit, SQUARE)))
    if "r2" in wanted:
        parts.append(Part("spread", DifferenceSum(middle, unit, SQUARE)))
    return parts, wanted, facts


def number_question(
    parts: Sequence[Part], wanted: tuple[str, ...], facts: Mapping[str, Any], length: int | None = None
) -> Question:
    """The question out of its parts; see `estimate.joined` for `length`."""
    return Question(joined(parts, length), tuple(part.name for part in parts), wanted, _READERS, facts)


def _scaled(base: Base, name: str, shift: float, power: int, bounds: tuple[float, float]) -> Any:
    step = base.facts["step"] ** power
    return base.linear(base.form(name, step), shift, base.facts["records"], bounds)


def _mean(base: Base) -> Any:
    low, high = base.facts["bounds"]
    middle = low + base.facts["middle"] * base.facts["step"]
    return _scaled(base, "sum", middle * base.facts["records"], 1, (low, high))


def _bias(base: Base) -> Any:
    low, high = base.facts["bounds"]
    predicted = base.facts["predicted"] * base.facts["step"] * base.facts["records"]
    form = base.form("sum", -base.facts["step"])
    return base.linear(form, predicted, base.facts["records"], (low - high, high - low))


def _mae(base: Base) -> Any:
    low, high = base.facts["bounds"]
    return _scaled(base, "magnitudes", 0.0, 1, (0.0, high - low))


def _mse(base: Base) -> Any:
    low, high = base.facts["bounds"]
    return _scaled(base, "squares", 0.0, 2, (0.0, (high - low) ** 2))


def _rmse(base: Base) -> Any:
    estimate, (low, high) = _mse(base)
    return math.sqrt(estimate), (math.sqrt(low), math.sqrt(high))


def _r2(base: Base) -> Any:
    """1 - (sum of squared errors) / (sum of squares about the mean); a Fieller interval, to first order."""
    records = base.facts["records"]
    errors, total, squares = base.form("squares"), base.form("sum"), base.form("spread")
    mean = float(total @ base.values) / records
    variance = base.deviation(total) ** 2
    # sum of squares about the mean, without the bias that the noise of the mean brings
    about = float(squares @ base.values) - records * mean**2 + variance / records
    bottom = squares - 2 * mean * total
    cov = base.covariance
    below = float(bottom @ cov @ bottom) + 2 * variance**2 / records**2
    pieces = float(errors @ cov @ errors), float(errors @ cov @ bottom), below
    top = float(errors @ base.values)
    if about <= 0:
        return 0.0, (-math.inf, 1.0)
    share = max(top / about, 0.0)
    z = base.z(errors - share * bottom)
    low, high = _of_errors(top, about, pieces, z)
    return 1 - share, (1 - high, 1 - low)


def _of_errors(top: float, about: float, pieces: tuple[float, float, float], z: float) -> tuple[float, float]:
    """All shares of 0 or more that the noise does not refute, where `about` is above 0.

    Where it could as well be 0, no share is too large; but those that are too small for the errors, which may
    be known well, are refuted all the same (the half line of Fieller's set).
    """
    above, both, below = pieces
    square, linear, constant = about**2 - z**2 * below, top * about - z**2 * both, top**2 - z**2 * above
    if square >= 0 or constant <= 0 or top <= 0:
        return fieller(top, about, pieces, z, (0.0, math.inf))
    # the roots lie on either side of 0, since their product is below it
    return (linear - math.sqrt(linear**2 - square * constant)) / square, math.inf


_READERS: Final[Mapping[str, Reader]] = {
    "bias": _bias,
    "mae": _mae,
    "mean": _mean,
    "mse": _mse,
    "r2": _r2,
    "rmse": _rmse,
}
