"""What a validator is given, checked: labels and scores as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, BadTable


def binary(labels: Iterable[Any]) -> NDArray[np.int8]:
    """Labels 0 and 1 as int8.

    Raises:
        BadTable: for anything else; the message is private to the holder.
    """
    values = as_array(labels)
    if values.ndim != 1:
        raise BadTable(f"labels are one number per record, not {values.ndim} dimensions")
    if values.dtype.kind == "O" and all(
        isinstance(value, int | float | np.number) for value in values.tolist()
    ):
        values = values.astype(np.float64)
    if values.dtype.kind not in "biuf":
        raise BadTable("labels are 0 or 1: map the positive class to 1 and the other to 0 first")
    wrong = np.flatnonzero((values != 0) & (values != 1))
    if len(wrong):
        raise BadTable(
            f"{len(wrong)} labels are neither 0 nor 1, the first at place {wrong[0]}: {values[wrong[0]]!r}"
        )
    return values.astype(np.int8)


def finite_scores(scores: Iterable[Any], count: int) -> NDArray[np.float64]:
    """(count,) scores as floats.

    Raises:
        BadInput: for another number of scores, and for NaN and infinities.
    """
    values = as_array(scores)
    if values.ndim != 1:
        raise BadInput("scores are one number per record; of predict_proba take the column of class 1")
    if values.dtype.kind not in "biuf":
        raise BadInput(f"scores are numbers, not {values.dtype}")
    if len(values) != count:
        raise BadInput(f"{count} ids came with {len(values)} scores: one each is needed")
    finite = np.isfinite(values)
    if not finite.all():
        wrong = np.flatnonzero(~finite)
        raise BadInput(
            f"{len(wrong)} scores are not finite, the first at place {wrong[0]}: {values[wrong[0]]!r}"
        )
    return values.astype(np.float64, copy=False)


def numeric_labels(labels: Iterable[Any]) -> NDArray[np.float64]:
    """Numeric labels as floats.

    Raises:
        BadTable: for anything that is no finite number; the message is private to the holder.
    """
    values = as_array(labels)
    if values.dtype.kind == "O" and all(isinstance(one, int | float | np.number) for one in values.tolist()):
        values = values.astype(np.float64)
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise BadTable("labels with bounds are one number per record")
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
    array = as_array(values)
    if array.ndim != 1:
        raise BadInput(f"{what} are one value per record, not {array.ndim} dimensions")
    place = {level: at for at, level in enumerate(levels)}
    listed = array.tolist()
    codes = np.fromiter((place.get(value, -1) for value in listed), np.int16, len(listed))
    wrong = np.flatnonzero(codes < 0)
    if len(wrong):
        message = (
            f"{len(wrong)} values of {what} are not among the declared ones, the first at place {wrong[0]}: "
            f"{listed[wrong[0]]!r}"
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


def as_array(values: Iterable[Any]) -> NDArray[Any]:
    """Anything with one value per record as an array."""
    return np.asarray(
        values if hasattr(values, "__array__") or isinstance(values, list | tuple) else list(values)
    )
