"""Arguments: what a validator is given with one value per record, checked: labels and scores as arrays.

Labels are the holder's: what is wrong with them is told to the holder alone (`BadTable`, private).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, BadTable
from comity.validate.parameters import shown

Floats = NDArray[np.float64]


def binary(labels: Iterable[Any]) -> NDArray[np.int8]:
    """Labels 0 and 1 as int8; also 0.0 and 1.0, and false and true.

    Raises:
        BadTable: for anything else; the message is private to the holder.
    """
    values = _numbers(as_array(labels, "labels"))
    if values.ndim != 1:
        raise BadTable(f"labels are one number per record, not {values.ndim} dimensions")
    if values.dtype.kind not in "biuf":
        _require_present(values, "labels")
        raise BadTable(
            f"labels are 0 or 1, and {_seen(values)} is neither: map the positive class to 1 and the "
            "other to 0 first, or name all of them with classes="
        )
    if values.dtype.kind == "b":
        return values.astype(np.int8)
    wrong = np.flatnonzero((values != 0) & (values != 1))
    if len(wrong):
        _require_present(values, "labels")
        raise BadTable(
            f"{len(wrong)} labels are neither 0 nor 1, the first at place {wrong[0]}: "
            f"{shown(values[wrong[0]])}; map the positive class to 1 and the other to 0, or pass classes= or "
            "bounds="
        )
    return values.astype(np.int8)


def finite_scores(scores: Iterable[Any], count: int, what: str = "scores") -> Floats:
    """(count,) scores as floats.

    Raises:
        BadInput: for another number of scores, and for NaN and infinities.
    """
    values = _numbers(as_array(scores, what))
    if values.ndim != 1:
        raise BadInput(f"{what} are one number per record; of predict_proba take the column of class 1")
    if len(values) != count:
        raise BadInput(f"{count} ids came with {len(values)} {what}: one each is needed")
    if values.dtype.kind not in "biuf":
        raise BadInput(f"{what} are numbers, and {_seen(values)} is none")
    finite = np.isfinite(values)
    if not finite.all():
        wrong = np.flatnonzero(~finite)
        raise BadInput(
            f"{len(wrong)} {what} are not finite, the first at place {wrong[0]}: {shown(values[wrong[0]])}"
        )
    return values.astype(np.float64, copy=False)


def numeric_labels(labels: Iterable[Any]) -> Floats:
    """Numeric labels as floats.

    Raises:
        BadTable: for anything that is no finite number; the message is private to the holder.
    """
    values = _numbers(as_array(labels, "labels"))
    if values.ndim != 1:
        raise BadTable(f"labels with bounds are one number per record, not {values.ndim} dimensions")
    _require_present(values, "labels")
    if values.dtype.kind not in "biuf":
        raise BadTable(f"labels with bounds are numbers, and {_seen(values)} is none")
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise BadTable(f"{len(wrong)} labels are not finite, the first at place {wrong[0]}")
    return values.astype(np.float64)


def coded(
    values: Iterable[Any], levels: Sequence[Any], what: str, *, private: bool = False
) -> NDArray[np.int16]:
    """(n,) the place of each value among the levels.

    Raises:
        BadTable: for a value that is no level, private to the holder, or
        BadInput: the same, where the values are not private.
    """
    array = as_array(values, what)
    if array.ndim != 1:
        raise BadInput(f"{what} are one value per record, not {array.ndim} dimensions")
    if private:
        _require_present(array, what)
    place = {level: at for at, level in enumerate(levels)}
    listed = array.tolist()
    try:
        codes = np.fromiter((place.get(value, -1) for value in listed), np.int16, len(listed))
    except TypeError:
        raise BadInput(f"{what} are single values, and one of them is a list or another container") from None
    wrong = np.flatnonzero(codes < 0)
    if len(wrong):
        message = (
            f"{len(wrong)} values of {what} are not among the declared ones, the first at place {wrong[0]}: "
            f"{shown(listed[wrong[0]])}"
        )
        raise BadTable(message) if private else BadInput(message)
    return codes


def require_count(values: NDArray[Any], records: int, what: str) -> None:
    """Refuse another number of values than records.

    Raises:
        BadTable: private to the holder.
    """
    if len(values) != records:
        raise BadTable(f"{records} ids came with {len(values)} {what}: one each is needed")


def as_array(values: Any, what: str) -> NDArray[Any]:
    """Anything with one value per record as an array; what came as a list of several types keeps them.

    Raises:
        BadInput: for a single value, for words and mappings, and for masked arrays.
    """
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.is_masked(values):
            raise BadInput(f"{what} are masked in places: leave those records out")
        values = values.data
    if hasattr(values, "__array__"):
        array = np.asarray(values)
    elif isinstance(values, str | bytes | dict | set | frozenset) or not isinstance(values, Iterable):
        raise BadInput(
            f"{what} need one value per record, in an array, a list or a column, not {shown(values)}"
        )
    else:
        array = _of_list(values if isinstance(values, list | tuple) else list(values), what)
    if array.ndim == 0:
        raise BadInput(f"{what} need one value per record, in an array, a list or a column")
    return array


def missing(value: Any) -> bool:
    """Whether a value is none: None, NaN, NaT or pandas' NA."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except TypeError:  # NA is neither equal nor unequal to itself
        return True
    except ValueError:  # an array is a value, if not one that fits
        return False


def first_missing(values: NDArray[Any]) -> int | None:
    """The place of the first missing value of an array with one dimension."""
    if values.dtype.kind == "f":
        at = np.flatnonzero(np.isnan(values))
    elif values.dtype.kind in "mM":
        at = np.flatnonzero(np.isnat(values))
    elif values.dtype.kind == "O":
        return next((at for at, value in enumerate(values.tolist()) if missing(value)), None)
    else:
        return None
    return int(at[0]) if len(at) else None


def _of_list(values: Sequence[Any], what: str) -> NDArray[Any]:
    """A list as an array. Numbers beside words stay numbers, and whole numbers of any size stay exact."""
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, OverflowError):
        raise BadInput(f"{what} are not all of one shape: one value per record is needed") from None
    mixed = array.dtype.kind in "US" and not all(isinstance(one, str | bytes) for one in values)
    # numbers too large for int64 beside negative ones make an array of floats
    inexact = array.dtype.kind == "f" and array.ndim == 1 and any(
        isinstance(one, int) and abs(one) > 1 << 53 for one in values
    )  # fmt: skip
    if array.ndim == 1 and (mixed or inexact):
        array = np.empty(len(values), dtype=object)
        array[:] = values
    return array


def _numbers(values: NDArray[Any]) -> NDArray[Any]:
    """Objects that are all numbers, as floats; missing ones as NaN."""
    if values.dtype.kind != "O" or values.ndim != 1:
        return values
    listed = values.tolist()
    gone = [missing(one) for one in listed]
    if not all(lost or isinstance(one, Real) for one, lost in zip(listed, gone, strict=True)):
        return values
    return np.array([_float(np.nan if lost else one) for one, lost in zip(listed, gone, strict=True)])


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _require_present(values: NDArray[Any], what: str) -> None:
    at = first_missing(values)
    if at is not None:
        raise BadTable(f"{what} are missing in places, the first at place {at}: leave those records out")


def _seen(values: NDArray[Any]) -> str:
    """The first value, or what it is where that says more."""
    return shown(values.tolist()[0]) if len(values) and values.ndim == 1 else f"an array of {values.dtype}"
