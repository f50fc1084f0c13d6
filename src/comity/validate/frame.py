"""Frame: the ids of the records that provider and ML party both know, in the provider's order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput
from comity.validate.arguments import as_array, first_missing
from comity.validate.parameters import shown

_EXACT: Final = 1 << 53
"""Floats hold every whole number up to this, and not those beyond."""

_LARGEST: Final = int(np.iinfo(np.int64).max)


class Frame:
    """Which record stands where. Ids are whole numbers or words, each once; they are copied.

    Args:
        ids: one per record; a sequence, array or column.

    Raises:
        BadInput: if an id stands there twice, is missing, or is neither a whole number nor a word.
    """

    def __init__(self, ids: Iterable[Any]) -> None:
        self._ids = id_array(ids, "the frame").copy()
        self._ids.setflags(write=False)
        self._sorted: NDArray[Any] | None = None
        self._order: NDArray[np.int64] | None = None
        self._places: dict[Any, int] = {}
        if self._ids.dtype.kind in "iu":
            self._order = np.argsort(self._ids, kind="stable")
            self._sorted = self._ids[self._order]
            twice = np.flatnonzero(self._sorted[1:] == self._sorted[:-1])
            if len(twice):
                pair = self._order[twice[0] : twice[0] + 2].tolist()
                raise BadInput(_doubled("the frame", self._ids[pair[0]], *pair))
        else:
            values = self._ids.tolist()
            self._places = {value: at for at, value in enumerate(values)}
            if len(self._places) != len(values):
                one, two = _first_double(values)
                raise BadInput(_doubled("the frame", values[one], one, two))

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> NDArray[Any]:
        """(records,) the ids, in the provider's order; not to be written to."""
        return self._ids.view()

    def find(self, ids: Iterable[Any]) -> NDArray[np.int64]:
        """(n,) where each id stands in the frame, -1 where it does not."""
        return self._found(id_array(ids, "what was asked"))

    def _found(self, asked: NDArray[Any]) -> NDArray[np.int64]:
        if self.is_whole(asked):
            return np.arange(len(asked), dtype=np.int64)
        if self._sorted is None or self._order is None or asked.dtype.kind == "O":
            place = self._places.get if self._sorted is None else dict(self._by_value()).get
            return np.fromiter((place(value, -1) for value in asked.tolist()), np.int64, len(asked))
        # numbers of another type are compared exactly, not as floats: what does not fit is not there
        fits = _fits(asked, self._sorted.dtype)
        wanted = np.where(fits, asked, asked.dtype.type(0)).astype(self._sorted.dtype, copy=False)
        if not len(self._sorted):
            return np.full(len(asked), -1, dtype=np.int64)
        at = np.searchsorted(self._sorted, wanted)
        at[at == len(self._sorted)] = 0
        return np.where(fits & (self._sorted[at] == wanted), self._order[at], -1)

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
        at = self._found(asked)
        unknown = np.flatnonzero(at < 0)
        if len(unknown):
            raise BadInput(
                f"in {what} {_ids(len(unknown))} not in the frame, the first at place "
                f"{unknown[0]}: {_id(asked[unknown[0]])}; ask about records that both ends know"
            )
        if len(at) > 1 and np.bincount(at, minlength=len(self)).max() > 1:
            one, two = _first_double(at.tolist())
            raise BadInput(_doubled(what, asked[one], one, two))
        return at

    def _by_value(self) -> Iterable[tuple[Any, int]]:
        return zip(self._ids.tolist(), range(len(self)), strict=True)


def id_array(ids: Iterable[Any], what: str) -> NDArray[Any]:
    """(n,) ids as an array of whole numbers (64 bits, signed where they fit) or of objects.

    Raises:
        BadInput: for anything but one dimension, and for ids that are missing or neither whole numbers nor
            words.
    """
    values = as_array(ids, f"the ids of {what}")
    if values.ndim != 1:
        raise BadInput(f"for {what} one id per record is needed, in one dimension, not {values.ndim}")
    kinds = set(map(type, values.tolist())) if values.dtype.kind == "O" else set()
    if kinds == {str}:
        return values
    gone = first_missing(values)
    if gone is not None:
        raise BadInput(f"for {what} an id is missing at place {gone}: give every record one")
    if values.dtype.kind == "f":
        return _of_floats(values, what)
    if values.dtype.kind in "iu":
        small = values.dtype.kind == "i" or values.max(initial=0) <= _LARGEST
        return values.astype(np.int64 if small else np.uint64, copy=False)
    if values.dtype.kind in "US":
        return values.astype(object)
    if values.dtype.kind == "O":
        _require_names(values.tolist(), what)
        return _of_small_numbers(values)
    named = "true and false" if values.dtype.kind == "b" else f"of type {values.dtype}"
    raise BadInput(
        f"the ids of {what} are {named}: give each record a whole number or a word of its own, dates as text"
    )


def _of_floats(values: NDArray[Any], what: str) -> NDArray[np.int64]:
    wrong = np.flatnonzero(~(np.abs(values) <= _EXACT) | (values != np.floor(values)))
    if len(wrong):
        raise BadInput(
            f"the id of {what} at place {wrong[0]}, {_id(values[wrong[0]])}, is no whole number, or a float "
            "beyond 2^53, which others read alike: pass ids as whole numbers or words"
        )
    return values.astype(np.int64)


def _of_small_numbers(objects: NDArray[Any]) -> NDArray[Any]:
    """Objects that are whole numbers of 64 bits, as such: how they came does not matter."""
    listed = objects.tolist()
    if listed and all(type(one) is int and -_LARGEST <= one <= _LARGEST for one in listed):
        return objects.astype(np.int64)
    return objects


def _require_names(values: list[Any], what: str) -> None:
    """Every object is a word, a whole number, or another value that is equal to itself alone."""
    for at, value in enumerate(values):
        if type(value) in (str, int):
            continue
        wrong = isinstance(value, bool | np.bool_ | complex | np.ndarray)
        if isinstance(value, float | np.floating):
            wrong = not (abs(value) <= _EXACT and float(value).is_integer())
        try:
            hash(value)
        except TypeError:
            wrong = True
        if wrong:
            raise BadInput(
                f"the id of {what} at place {at}, {_id(value)}, can be no id: whole numbers and words can"
            )


def _fits(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    """Which whole numbers of 64 bits a type of 64 bits holds."""
    if values.dtype == dtype:
        return np.ones(len(values), dtype=np.bool_)
    return values <= np.uint64(_LARGEST) if dtype.kind == "i" else values >= 0


def _ids(count: int) -> str:
    return "1 id is" if count == 1 else f"{count} ids are"


def _id(value: Any) -> str:
    return shown(value.item() if isinstance(value, np.generic) else value)


def _doubled(what: str, value: Any, one: int, two: int) -> str:
    return (
        f"in {what} the id {_id(value)} stands twice, at places {one} and {two}: every record needs an id of "
        "its own, once"
    )


def _first_double(values: list[Any]) -> tuple[int, int]:
    """The places of the first value that was there before, and of that before it."""
    seen: dict[Any, int] = {}
    for at, value in enumerate(values):
        if value in seen:
            return seen[value], at
        seen[value] = at
    return 0, 0
