"""Perturbing a column: randomised response, PRAM, bounded noise, rounding, shuffling.

Each function changes one column and returns the table with a description for the manifest. A cost, where
there is one, is local differential privacy of that column's value: per record, between any two values
(change-one). It covers no other column: what these say about the value, they still say.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from comity import noise
from comity.data.arrays import fixed_width, to_arrow
from comity.deidentify.columns.channel import (
    MOST_LEVELS,
    Channel,
    band_channel,
    distance_channel,
    matrix_channel,
    response_channel,
)
from comity.deidentify.hierarchies.reading import number_word
from comity.errors import BadTable, UsageError
from comity.ledger import Cost, without_dp

if TYPE_CHECKING:
    from comity.data import Table

MISSING = ("refuse", "level", "keep")
"""What a missing value is: an error, one more level (hidden like the others), or left as it is (told)."""

EXACT = 2**53
"""Floats hold every whole number up to this."""

ONLY_THIS = "Only this column is covered: other columns may still tell its value."


@dataclass(frozen=True)
class Perturbation:
    """What was done to one column; public, for the manifest.

    Attributes:
        settings: JSON; with a channel all that `channel_of` needs to rebuild it.
        guarantee: in words.
        cost: per record, change-one; unbounded where there is no formal guarantee.
    """

    column: str
    kind: str
    settings: Mapping[str, Any]
    guarantee: str
    cost: Cost

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; `cost` and `epsilon` are null without a formal guarantee."""
        return {
            "column": self.column,
            "kind": self.kind,
            "settings": dict(self.settings),
            "guarantee": self.guarantee,
            "epsilon": self.cost.epsilon if self.cost.bounded else None,
            "cost": self.cost.to_dict() if self.cost.bounded else None,
        }


@dataclass(frozen=True)
class Perturbed:
    """A table with one column perturbed.

    Attributes:
        channel: the known matrix, if values were drawn from one.
        clamped: values that lay outside the bounds or between steps and were moved first; private.
    """

    table: Table
    description: Perturbation
    channel: Channel | None = None
    clamped: int = 0


def randomized_response(
    table: Table, column: str, levels: Sequence[str], *, epsilon: float, missing: str = "refuse"
) -> Perturbed:
    """k-ary randomised response: the true level with e^epsilon times the probability of any other.

    Args:
        levels: the public levels, as texts; never read off the table.
        epsilon: in nats, from 1e-6 to 30.
        missing: "level" makes a missing value one more level; "keep" leaves it, and then there is no cost
            that holds, because whether a value is missing is told outright.

    Raises:
        BadTable: private; for values that are no level, or missing ones under "refuse".
        UsageError: for impossible levels or epsilon.
    """
    channel = response_channel(_with_missing(levels, missing), epsilon)
    settings = {"levels": list(levels), "epsilon": float(epsilon), "missing": missing}
    return _answered(table, column, channel, "randomised-response", settings, missing)


def pram(
    table: Table,
    column: str,
    levels: Sequence[str],
    matrix: Sequence[Sequence[float]],
    *,
    missing: str = "refuse",
) -> Perturbed:
    """Post-randomisation with a known matrix: row x holds the probabilities of the answers to level x.

    Epsilon is that of the matrix, and unbounded if an answer is possible for one level and not for another.
    With missing="level" the matrix has one more row and column, the last, for a missing value.

    Raises:
        BadTable, UsageError: as `randomized_response`, and for what is no matrix of probabilities.
    """
    channel = matrix_channel(_with_missing(levels, missing), matrix)
    settings = {"levels": list(levels), "matrix": channel.matrix.tolist(), "missing": missing}
    return _answered(table, column, channel, "pram", settings, missing)


def bounded_noise(
    table: Table,
    column: str,
    *,
    low: float,
    high: float,
    step: float = 1,
    epsilon: float,
    law: str = "band",
    missing: str = "refuse",
) -> Perturbed:
    """Noise that stays within public bounds, on the grid low, low + step, ..., high.

    Values are first moved to the nearest point of the grid, then drawn from a channel, whose proof is there:
    `channel.band_channel` has the least error, `channel.distance_channel` (Laplace noise conditioned on the
    bounds) hides close values from each other better (`Channel.epsilon_within`). Epsilon holds between any
    two values of the whole range, so noise of moderate size means a large epsilon. The mean is pulled towards
    the middle of the range; `Channel.estimate` corrects counts.

    Args:
        law: "band" or "laplace".
        step: a divisor of high - low with 1 to 1024 steps; a grid finer than the noise buys nothing.
        missing: "refuse" or "keep".

    Raises:
        BadTable: private; if the column is not numeric, or has missing values under "refuse".
        UsageError: for impossible bounds, step or epsilon.
    """
    if missing not in ("refuse", "keep"):
        raise UsageError(f"missing is {missing!r}: for noise on numbers it is 'refuse' or 'keep'")
    grid = _grid(low, high, step)
    channel = _noise_channel(grid, epsilon, law)
    numbers = table.numbers(column)
    known = ~np.isnan(numbers)
    _require_present(column, known, missing)
    places = np.clip(np.floor((np.where(known, numbers, low) - low) / step + 0.5), 0, len(grid) - 1)
    codes = places.astype(np.int64)
    points = np.array(grid)
    clamped = int((np.abs(points[codes] - numbers)[known] > 1e-9 * abs(step)).sum())
    answers = points[channel.answer(codes)]
    settings = {
        "low": float(low),
        "high": float(high),
        "step": float(step),
        "epsilon": float(epsilon),
        "law": law,
        "missing": missing,
    }
    whole = table.type(column) == "integer" and float(low).is_integer() and float(step).is_integer()
    if whole and max(abs(low), abs(high)) > EXACT:
        raise UsageError(f"noise on whole numbers is exact from -2^53 to 2^53, not from {low:g} to {high:g}")
    values = answers.astype(np.int64) if whole else answers
    changed = table.with_column(column, _chunked(to_arrow(values, ~known)))
    description = _description(column, "bounded-noise", settings, channel, missing)
    return Perturbed(changed, description, channel, clamped)


def round_to(table: Table, column: str, multiple: float, *, random: bool = False) -> Perturbed:
    """Round numbers to a multiple: to the nearest one (halves up), or at random so that the mean is kept.

    Random rounding goes up with the probability of the part that is cut off, so it is unbiased. Neither has
    a formal guarantee: rounding hides which of the values near a multiple it was, and an outlier stays one.

    Raises:
        BadTable: private; if the column is not numeric, or a multiple lies beyond what the column can hold.
        UsageError: for a multiple that is not above 0, or not whole for a column of whole numbers, or above
            2^62 there.
    """
    whole = table.type(column) == "integer"
    if not 0 < multiple <= sys.float_info.max or (whole and not float(multiple).is_integer()):
        raise UsageError(f"'{column}' is rounded to a multiple above 0 (whole for integers), not {multiple}")
    if whole and multiple > 2**62:
        raise UsageError(f"'{column}' holds whole numbers, which are rounded to a multiple up to 2^62")
    rounded = _whole_multiples if whole else _multiples
    values = rounded(table, column, multiple, random)
    changed = table.with_column(column, _chunked(to_arrow(values, table.missing(column))))
    words = "at random to one of the two nearest multiples" if random else "to the nearest multiple"
    guarantee = (
        f"Rounded {words} of {number_word(multiple)}. No formal guarantee: which value near that multiple it "
        "was is hidden, unusual values stay unusual."
    )
    settings = {"multiple": float(multiple), "random": random}
    return Perturbed(changed, Perturbation(column, "rounding", settings, guarantee, _no_cost()))


def _whole_multiples(table: Table, column: str, multiple: float, random: bool) -> NDArray[np.int64]:
    stored = fixed_width(table.column(column), 0).astype(np.int64)
    step = int(multiple)
    base, rest = np.divmod(stored, step)
    ups = noise.uniform_below(step, len(rest)) < rest if random else rest >= step - rest
    # whether anything fits is asked of all values that could come out: chance must not decide on an error
    least, most = (base, base + (rest > 0)) if random else (base + ups, base + ups)
    if len(base) and (int(least.min()) * step < -(2**63) or int(most.max()) * step >= 2**63):
        raise _out_of_reach(column, multiple)
    return (base + ups) * step


def _multiples(table: Table, column: str, multiple: float, random: bool) -> NDArray[np.float64]:
    stored = np.nan_to_num(table.numbers(column))
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = stored / multiple
        base = np.floor(scaled)
        part = scaled - base
        draws = noise.uniform_below(2**53, len(part)) * 2.0**-53
        values = (base + (draws < part if random else part >= 0.5)) * multiple
        ends = np.concatenate([values, base * multiple, (base + (part > 0)) * multiple if random else values])
    if not np.isfinite(ends).all():
        raise _out_of_reach(column, multiple)
    return values


def _out_of_reach(column: str, multiple: float) -> BadTable:
    return BadTable(
        f"'{column}' holds values whose nearest multiple of {number_word(multiple)} is too large, or too "
        "many steps away, for the column; correct them, or choose another multiple"
    )


def shuffle_within(table: Table, column: str, *, within: Sequence[str] = ()) -> Perturbed:
    """Permute a column among the rows that agree on the columns `within`, uniformly; among all rows without.

    Every group keeps its values exactly, so what they have in common is told, and a group of one row is not
    changed at all. There is no formal guarantee: shuffling breaks links between columns, and those alone.

    Raises:
        BadTable: if a column is not there.
    """
    if column in within:
        raise UsageError(f"'{column}' cannot be shuffled within groups of itself; name other columns")
    table.column(column)
    group = np.zeros(table.rows, dtype=np.int64)
    for name in within:
        codes, levels = table.levels(name)
        _, group = np.unique(group * (len(levels) + 1) + codes, return_inverse=True)
    order = noise.permutation(table.rows)
    source = np.empty(table.rows, dtype=np.int64)
    source[np.argsort(group, kind="stable")] = order[np.argsort(group[order], kind="stable")]
    changed = table.with_column(column, table.column(column).take(to_arrow(source)))
    where = f"rows that agree on {', '.join(within)}" if within else "all rows"
    guarantee = (
        f"Shuffled among {where}. No formal guarantee: each group keeps its own values, and a group of one "
        "row, or one whose values are all equal, tells them."
    )
    description = Perturbation(column, "shuffling", {"within": list(within)}, guarantee, _no_cost())
    return Perturbed(changed, description)


def channel_of(description: Mapping[str, Any]) -> Channel:
    """The channel of a description in its JSON form, for whoever received the values and wants estimates.

    Raises:
        UsageError: for a description of something that has no channel.
    """
    settings = description["settings"]
    if description["kind"] == "bounded-noise":
        grid = _grid(settings["low"], settings["high"], settings["step"])
        return _noise_channel(grid, settings["epsilon"], settings["law"])
    if description["kind"] not in ("randomised-response", "pram"):
        raise UsageError(f"{description['kind']} has no known matrix, so nothing can be estimated from it")
    levels = _with_missing(settings["levels"], settings["missing"])
    if description["kind"] == "pram":
        return matrix_channel(levels, settings["matrix"])
    return response_channel(levels, settings["epsilon"])


def _noise_channel(grid: Sequence[float], epsilon: float, law: str) -> Channel:
    if law not in ("band", "laplace"):
        raise UsageError(f"law is {law!r}: bounded noise follows 'band' or 'laplace'")
    return band_channel(grid, epsilon) if law == "band" else distance_channel(grid, epsilon)


def _answered(
    table: Table, column: str, channel: Channel, kind: str, settings: dict[str, Any], missing: str
) -> Perturbed:
    """Answers of a channel for a column, read as texts."""
    from comity.deidentify.search.frames import label_column

    codes, values = table.levels(column)
    place = {level: code for code, level in enumerate(channel.levels)}
    odd = [value for value in values if value not in place]
    if odd:
        raise BadTable(
            f"'{column}' holds {len(odd)} values that are none of the given levels, among them "
            f"{', '.join(map(repr, odd[:3]))}; add them to the public levels, or correct them"
        )
    _require_present(column, codes >= 0, missing)
    translated = np.array([place[value] for value in values] + [place.get(None, 0)], dtype=np.int64)[codes]
    answers = channel.answer(translated)
    labels = list(channel.levels)
    if missing == "keep":
        labels.append(None)
        answers[codes < 0] = len(labels) - 1
    changed = table.with_column(column, label_column(answers, labels))
    return Perturbed(changed, _description(column, kind, settings, channel, missing), channel)


def _description(
    column: str, kind: str, settings: dict[str, Any], channel: Channel, missing: str
) -> Perturbation:
    if missing == "keep":
        words = (
            f"Between two known values epsilon is {channel.epsilon:g}; whether a value is missing is not "
            "hidden, so there is no guarantee for a record."
        )
        return Perturbation(column, kind, settings, f"{words} {ONLY_THIS}", _no_cost())
    if channel.cost.bounded:
        words = f"Local differential privacy of this value, epsilon {channel.epsilon:g}, between any two."
    else:
        words = "No formal guarantee: some answer is possible for one value and impossible for another."
    return Perturbation(column, kind, settings, f"{words} {ONLY_THIS}", channel.cost)


def _with_missing(levels: Sequence[str], missing: str) -> tuple[str | None, ...]:
    if missing not in MISSING:
        raise UsageError(f"missing is {missing!r}: it is one of {', '.join(MISSING)}")
    return (*levels, None) if missing == "level" else tuple(levels)


def _require_present(column: str, known: NDArray[np.bool_], missing: str) -> None:
    if missing == "refuse" and not bool(known.all()):
        raise BadTable(
            f"'{column}' misses {int((~known).sum())} values, and that a value is missing would not be "
            'hidden; drop those rows, fill them in, or choose missing="level" or "keep"'
        )


def _grid(low: float, high: float, step: float) -> tuple[float, ...]:
    finite = np.isfinite(np.array([low, high, step], dtype=np.float64)).all()
    steps = (high - low) / step if finite and step > 0 else 0.0
    if not 1 <= steps <= MOST_LEVELS - 1 or abs(steps - round(steps)) > 1e-9 * steps:
        raise UsageError(
            f"from {low:g} to {high:g} by {step:g} is no grid of 1 to {MOST_LEVELS - 1} whole steps; "
            "choose a step that divides the range"
        )
    return tuple(float(low + step * place) for place in range(round(steps) + 1))


def _chunked(array: Any) -> Any:
    import pyarrow as pa

    return pa.chunked_array([array])


def _no_cost() -> Cost:
    return without_dp(unit="record", relation="change-one")
