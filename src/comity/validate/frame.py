"""Frame: the ids of the records that provider and ML party both know, in the provider's order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput


class Frame:
    """Which record stands where. Ids are numbers or strings, each once.

    Args:
        ids: one per record; a sequence, array or column.

    Raises:
        BadInput: if an id stands there twice or is missing.
    """

    def __init__(self, ids: Iterable[Any]) -> None:
        self._ids = id_array(ids, "the frame")
        self._sorted: NDArray[Any] | None = None
        self._order: NDArray[np.int64] | None = None
        self._places: dict[Any, int] = {}
        if self._ids.dtype.kind in "iu":
            self._order = np.argsort(self._ids, kind="stable")
            self._sorted = self._ids[self._order]
            twice = self._ids[self._order[1:]][self._sorted[1:] == self._sorted[:-1]]
            if len(twice):
                raise BadInput(_doubled("the frame", twice[0]))
        else:
            values = self._ids.tolist()
            self._places = {value: at for at, value in enumerate(values)}
            if len(self._places) != len(values):
                raise BadInput(_doubled("the frame", _first_double(values)))

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> NDArray[Any]:
        """(records,) the ids, in the provider's order; not to be written to."""
        view = self._ids.view()
        view.setflags(write=False)
        return view

    def find(self, ids: Iterable[Any]) -> NDArray[np.int64]:
        """(n,) where each id stands in the frame, -1 where it does not."""
        asked = id_array(ids, "what was asked")
        if self.is_whole(asked):
            return np.arange(len(asked), dtype=np.int64)
        if self._sorted is None or self._order is None:
            place = self._places.get
            return np.fromiter((place(value, -1) for value in asked.tolist()), np.int64, len(asked))
        if asked.dtype.kind not in "iu":
            return np.full(len(asked), -1, dtype=np.int64)
        at = np.searchsorted(self._sorted, asked)
        at[at == len(self._sorted)] = 0
        found = self._sorted[at] == asked if len(self._sorted) else np.zeros(len(asked), np.bool_)
        return np.where(found, self._order[at] if len(self._sorted) else -1, -1)

    def is_whole(self, asked: NDArray[Any]) -> bool:
        """Whether these ids, as `id_array` gives them, are all of the frame's in its order."""
        return asked.dtype == self._ids.dtype and np.array_equal(asked, self._ids)

    def places(self, ids: Iterable[Any], what: str = "the question") -> NDArray[np.int64]:
        """(n,) where each id stands in the frame.

        Raises:
            BadInput: for ids that the frame does not hold, and for an id given twice.
        """
        asked = id_array(ids, what)
        if self.is_whole(asked):
            return np.arange(len(asked), dtype=np.int64)
        at = self.find(asked)
        unknown = np.flatnonzero(at < 0)
        if len(unknown):
            raise BadInput(
                f"{what} names {len(unknown)} ids that are not in the frame, the first at place "
                f"{unknown[0]}: {asked[unknown[0]]!r}; ask about records that both ends know"
            )
        if len(at) > 1 and np.bincount(at, minlength=len(self)).max() > 1:
            raise BadInput(_doubled(what, _first_double(at.tolist(), asked)))
        return at


def id_array(ids: Iterable[Any], what: str) -> NDArray[Any]:
    """(n,) ids as an array of whole numbers or of objects.

    Raises:
        BadInput: for anything but one dimension, and for missing ids.
    """
    values = np.asarray(ids if hasattr(ids, "__array__") or isinstance(ids, list | tuple) else list(ids))
    if values.ndim != 1:
        raise BadInput(f"{what} needs one id per record, in one dimension, not {values.ndim}")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or (values != np.floor(values)).any():
            raise BadInput(f"an id of {what} is missing or no whole number")
        return values.astype(np.int64)
    if values.dtype.kind == "b":
        raise BadInput(f"the ids of {what} are true and false: give each record an id of its own")
    if values.dtype.kind in "iu":
        return values
    if values.dtype.kind == "O":
        missing = [at for at, value in enumerate(values.tolist()) if value is None or value != value]
        if missing:
            raise BadInput(f"{what} has no id at place {missing[0]}")
        return values
    return values.astype(object)


def _doubled(what: str, value: Any) -> str:
    return f"{what} has the id {value!r} twice; every record needs an id of its own"


def _first_double(values: list[Any], names: NDArray[Any] | None = None) -> Any:
    seen: set[Any] = set()
    for at, value in enumerate(values):
        if value in seen:
            return value if names is None else names[at]
        seen.add(value)
    return None
