"""Questions by group that can be counted blindly: their wire form, and their rows in another order.

`SignedCounts` (accuracy alone) and `Partitioned` (any metric in each group of a partition) are linear in
labels 0/1 like what `blind_query` lists, which reads and writes the questions inside a partition. A group's
question has its rows in the order in which the group's records stand in the whole.

A record is in one group of a partition, so one changed label moves that group's sums and no others: a
partition's norm is its largest group's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, UsageError
from comity.validate.groups import Partitioned, in_order_of_appearance, numbered_groups
from comity.validate.labels import BinaryLabels
from comity.validate.metrics import SignedCounts
from comity.validate.queries import Query

MOST_GROUPS: Final = 1024
"""Groups of a partition that have a question each."""

_LARGEST_SIZE: Final = 1 << 19

Body = Mapping[str, Any]
Message = tuple[dict[str, Any], dict[str, bytes]]


def question_of(
    scores: NDArray[np.float64],
    metrics: Sequence[str],
    *,
    threshold: float | None,
    minimum: int,
    groups: Iterable[Any] | None = None,
) -> Any:
    """The question that metrics of scores are read from, in every group if there are groups.

    Args:
        scores: (records,) finite.
        groups: (records,) a group's name for each record, None or NaN for none.

    Raises:
        BadInput, UsageError: as `LocalValidator.feedback`.
    """
    named = None if groups is None else in_order_of_appearance(*numbered_groups(groups, len(scores)))
    if named is not None and len(named[0]) > MOST_GROUPS:
        raise UsageError(f"metrics are told for up to {MOST_GROUPS} groups, not {len(named[0])}")
    return BinaryLabels(np.zeros(0, np.int64)).question(scores, metrics, threshold, minimum, named)


def signed_message(query: SignedCounts) -> Message:
    """A JSON body and binary parts."""
    (cells,) = query.groupings()
    width = _width(2 * query.size)
    body = {"query": "signed-counts", "rows": query.rows, "size": query.size, "code_bytes": width}
    return body, {"cells": cells.astype(f"<u{width}").tobytes()}


def read_signed(body: Body, parts: Mapping[str, bytes]) -> SignedCounts:
    """Read `signed_message`'s form, from a stranger.

    Raises:
        BadInput: if it is not exactly that.
    """
    size = body.get("size")
    if set(body) != {"query", "rows", "size", "code_bytes"} or set(parts) != {"cells"}:
        raise BadInput("a question of the kind signed-counts holds rows, size, code_bytes and cells")
    if type(size) is not int or not 1 <= size <= _LARGEST_SIZE:
        raise BadInput(f"signed counts have between 1 and {_LARGEST_SIZE} groups")
    cells = _codes(parts["cells"], body["rows"], 2 * size, body["code_bytes"])
    return SignedCounts(cells >> 1, size, (cells & 1).astype(np.bool_), cells)


def partition_message(query: Partitioned, inner: Callable[[Query], Message]) -> Message:
    """A JSON body and binary parts; `inner` writes a group's question."""
    if len(query.parts) > MOST_GROUPS:
        raise UsageError(f"a partition that is counted blindly has up to {MOST_GROUPS} groups")
    members = np.zeros(query.count, dtype=np.int64)
    bodies: list[dict[str, Any]] = []
    parts: dict[str, bytes] = {}
    for at, (places, part) in enumerate(zip(query.records, query.parts, strict=True)):
        members[places] = at + 1
        body, own = inner(part)
        bodies.append(body)
        parts |= {f"{at}.{name}": data for name, data in own.items()}
    width = _width(len(query.parts) + 1)
    parts["members"] = members.astype(f"<u{width}").tobytes()
    return {"query": "partitioned", "rows": query.count, "code_bytes": width, "parts": bodies}, parts


def read_partition(
    body: Body, parts: Mapping[str, bytes], inner: Callable[[object, Mapping[str, bytes]], Query]
) -> Partitioned:
    """Read `partition_message`'s form, from a stranger; `inner` reads a group's question.

    Raises:
        BadInput: if it is not exactly that.
    """
    bodies = body.get("parts")
    if set(body) != {"query", "rows", "code_bytes", "parts"} or not isinstance(bodies, list):
        raise BadInput("a partition holds rows, code_bytes and a question for each group")
    if not 1 <= len(bodies) <= MOST_GROUPS or "members" not in parts:
        raise BadInput(f"a partition has members, and between 1 and {MOST_GROUPS} groups")
    members = _codes(parts["members"], body["rows"], len(bodies) + 1, body["code_bytes"])
    own: list[dict[str, bytes]] = [{} for _ in bodies]
    for name, data in parts.items():
        number, _, rest = name.partition(".")
        if name == "members":
            continue
        if (
            len(number) > 4
            or not number.isdecimal()
            or str(int(number)) != number
            or int(number) >= len(bodies)
        ):
            raise BadInput("a part of a partition belongs to none of its groups")
        own[int(number)][rest] = data
    queries = tuple(inner(one, data) for one, data in zip(bodies, own, strict=True))
    return Partitioned(tuple(_records(members - 1, len(bodies))), queries, len(members))


def permuted_partition(
    query: Partitioned, places: NDArray[np.int64], inner: Callable[[Query, NDArray[np.int64]], Query]
) -> Partitioned:
    """The same question with its rows in another order: row i is what stood at `places[i]`."""
    group = np.full(query.count, -1, dtype=np.int64)
    within = np.zeros(query.count, dtype=np.int64)
    for at, own in enumerate(query.records):
        group[own] = at
        within[own] = np.arange(len(own))
    records = _records(group[places], len(query.parts))
    parts = tuple(inner(part, within[places[own]]) for part, own in zip(query.parts, records, strict=True))
    return Partitioned(tuple(records), parts, query.count)


def permuted_signed(query: SignedCounts, places: NDArray[np.int64]) -> SignedCounts:
    """The same question with its rows in another order."""
    (cells,) = query.groupings()
    groups = None if query.groups is None else query.groups[places]
    return SignedCounts(groups, query.size, query.predicted[places], cells[places])


def _records(group: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    """For each group, the rising places of its records; -1 is in none."""
    order = np.argsort(group, kind="stable")
    bounds = np.searchsorted(group[order], np.arange(count + 1))
    return [order[bounds[at] : bounds[at + 1]] for at in range(count)]


def _codes(data: bytes, rows: object, size: int, width: object) -> NDArray[np.int64]:
    """(rows,) numbers below `size`, written in as few bytes as hold them."""
    if type(rows) is not int or rows < 0 or width != _width(size) or len(data) != rows * _width(size):
        raise BadInput("a question's records do not have the number or width that its body states")
    codes = np.frombuffer(data, dtype=f"<u{width}").astype(np.int64)
    if codes.max(initial=0) >= size:
        raise BadInput(f"group numbers lie between 0 and {size - 1}")
    return codes


def _width(size: int) -> int:
    return 1 if size <= 1 << 8 else 2 if size <= 1 << 16 else 4
