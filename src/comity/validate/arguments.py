"""What a validator is given, checked: labels and scores as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, BadTable


def binary(labels: Iterable[Any]) -> NDArray[np.int8]:
    """Labels 0 and 1 as int8.

    Raises:
        BadTable: for anything else; the message is private to the holder.
    """
    values = np.asarray(
        labels if hasattr(labels, "__array__") or isinstance(labels, list | tuple) else list(labels)
    )
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
    values = np.asarray(
        scores if hasattr(scores, "__array__") or isinstance(scores, list | tuple) else list(scores)
    )
    if values.ndim != 1:
        raise BadInput("scores are one number per record; of predict_proba take the column of class 1")
    if values.dtype.kind not in "biuf":
        raise BadInput(f"scores are numbers, not {values.dtype}")
    if len(values) != count:
        raise BadInput(f"{count} ids came with {len(values)} scores: one each is needed")
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise BadInput(
            f"{len(wrong)} scores are not finite, the first at place {wrong[0]}: {values[wrong[0]]!r}"
        )
    return values.astype(np.float64)
