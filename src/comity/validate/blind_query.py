"""Questions that can be counted blindly: their wire form, a closed list, and their rows in another order.

Only what is linear in labels 0/1 is on the list: counts per group, sums with whole-numbered weights, the
learner's statistics, several of these at once, and one for each group of a partition. Reading is strict:
numbers are whole and within limits that keep norms and sums exact, sizes are those stated, and nothing is
left over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, UsageError
from comity.validate.blind_groups import (
    partition_message,
    permuted_partition,
    permuted_signed,
    read_partition,
    read_signed,
    signed_message,
)
from comity.validate.groups import Partitioned
from comity.validate.metrics import SignedCounts
from comity.validate.queries import (
    CountPerGroup,
    GroupCounts,
    Integers,
    Joined,
    Labels,
    Query,
    WeightedSum,
    Words,
)
from comity.validate.request import ScoreStatistics

LARGEST_SIZE: Final = 1 << 20
"""Groups of one grouping."""

LARGEST_WEIGHT: Final = 1 << 40
"""Weights of records, and multipliers of joined questions, lie below this in magnitude."""

MOST_PARTS: Final = 64

_SIMPLE: Final = ("group-counts", "weighted-sum", "score-statistics", "signed-counts")
_KINDS: Final = (*_SIMPLE, "joined", "partitioned")


_GATHERED: Final = 1 << 15

_PIECE: Final = 1 << 18
"""Records that are counted at a time: their group numbers and words stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class CodedCounts(CountPerGroup):
    """`GroupCounts` with group numbers as small as they are sent: what 10 million records are counted with.

    Attributes:
        codes: (rows,) uint8, uint16 or uint32, below `size`.
        size: number of groups.
    """

    codes: NDArray[np.unsignedinteger[Any]]
    size: int

    def __post_init__(self) -> None:
        if self.codes.ndim != 1 or self.codes.dtype.kind != "u" or not 1 <= self.size <= LARGEST_SIZE:
            raise BadInput(f"codes are one unsigned number per record, in 1 to {LARGEST_SIZE} groups")
        if len(self.codes) and int(self.codes.max()) >= self.size:
            raise BadInput(f"group numbers lie between 0 and {self.size - 1}")

    @classmethod
    def of(cls, query: GroupCounts) -> Self:
        return cls(query.groups.astype(f"u{_width(query.size)}"), query.size)

    @property
    def rows(self) -> int:
        return len(self.codes)

    def sums(self, labels: Labels) -> Integers:
        return self.padded_sums(labels.astype(np.uint64)).astype(np.int64)

    def padded_sums(self, words: Words) -> Words:
        sums = np.zeros(self.size, dtype=np.uint64)
        for start in range(0, self.rows, _PIECE):
            piece = slice(start, start + _PIECE)
            np.add.at(sums, self.codes[piece].astype(np.intp), words[piece])
        return sums

    def row(self, record: int) -> Integers:
        row = np.zeros(self.size, dtype=np.int64)
        row[self.codes[record]] = 1
        return row

    def groupings(self) -> tuple[NDArray[Any], ...]:
        return (self.codes,)


def _width(size: int) -> int:
    return 1 if size <= 1 << 8 else 2 if size <= 1 << 16 else 4


def to_message(query: Query) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A JSON body and binary parts.

    Raises:
        UsageError: for a question that cannot be counted blindly.
    """
    if isinstance(query, GroupCounts):
        query = CodedCounts.of(query)
    if isinstance(query, CodedCounts):
        width = _width(query.size)
        body = {"query": "group-counts", "rows": query.rows, "size": query.size, "code_bytes": width}
        return body, {"groups": query.codes.astype(f"<u{width}", copy=False).tobytes()}
    if isinstance(query, WeightedSum):
        return {"query": "weighted-sum", "rows": query.rows}, {
            "weights": query.weights.astype("<i8").tobytes()
        }
    if isinstance(query, ScoreStatistics):
        return query.to_message()
    if isinstance(query, SignedCounts):
        return signed_message(query)
    if isinstance(query, Joined):
        return _joined_message(query)
    if isinstance(query, Partitioned):
        return partition_message(query, to_message)
    raise UsageError(
        f"{type(query).__name__} cannot be counted blindly; it has to be one of: {', '.join(_KINDS)}"
    )


def _joined_message(query: Joined) -> tuple[dict[str, Any], dict[str, bytes]]:
    parts: dict[str, bytes] = {}
    bodies: list[dict[str, Any]] = []
    for at, part in enumerate(query.parts):
        if isinstance(part, Joined | Partitioned):
            raise UsageError("joined questions are joined once, not within each other")
        body, own = to_message(part)
        bodies.append(body)
        parts |= {f"{at}.{name}": data for name, data in own.items()}
    return {"query": "joined", "factors": list(query.factors), "parts": bodies}, parts


def from_message(body: object, parts: Mapping[str, bytes]) -> Query:
    """Read `to_message`'s form, from a stranger.

    Raises:
        BadInput: if it is not exactly that.
    """
    kind = body.get("query") if isinstance(body, Mapping) else None
    if not isinstance(body, Mapping) or kind not in _KINDS:
        raise BadInput(f"a question is one of: {', '.join(_KINDS)}")
    if kind == "partitioned":
        return read_partition(body, parts, _read_part)
    return _read_part(body, parts)


def _read_part(body: object, parts: Mapping[str, bytes]) -> Query:
    """A question that may be one group's: no partition within a partition."""
    if not isinstance(body, Mapping) or body.get("query") not in (*_SIMPLE, "joined"):
        raise BadInput(f"what is asked of a group is one of: {', '.join((*_SIMPLE, 'joined'))}")
    return _read_joined(body, parts) if body["query"] == "joined" else _read_simple(body, parts)


def _read_simple(body: Mapping[str, Any], parts: Mapping[str, bytes]) -> Query:
    if body["query"] == "score-statistics":
        try:
            return ScoreStatistics.from_message(body, parts)
        except (TypeError, ValueError, OverflowError):
            raise BadInput("this is not a score-statistics query") from None
    if body["query"] == "signed-counts":
        return read_signed(body, parts)
    if body["query"] == "weighted-sum":
        _require(body, {"query", "rows"}, parts, {"weights"})
        weights = np.frombuffer(_sized(parts["weights"], body["rows"], 8), dtype="<i8").astype(np.int64)
        if ((weights <= -LARGEST_WEIGHT) | (weights >= LARGEST_WEIGHT)).any():
            raise BadInput(f"weights lie below {LARGEST_WEIGHT} in magnitude")
        return WeightedSum(weights)
    _require(body, {"query", "rows", "size", "code_bytes"}, parts, {"groups"})
    size, width = body["size"], body["code_bytes"]
    if type(size) is not int or not 1 <= size <= LARGEST_SIZE or width != _width(size):
        raise BadInput(f"a grouping has between 1 and {LARGEST_SIZE} groups, numbered in 1, 2 or 4 bytes")
    codes = np.frombuffer(_sized(parts["groups"], body["rows"], width), dtype=f"<u{width}")
    return CodedCounts(codes.astype(f"u{width}", copy=False), size)


def _read_joined(body: Mapping[str, Any], parts: Mapping[str, bytes]) -> Joined:
    bodies, factors = body.get("parts"), body.get("factors")
    if set(body) != {"query", "factors", "parts"} or not isinstance(bodies, list):
        raise BadInput("joined questions hold their parts and their multipliers")
    if not isinstance(factors, list) or len(factors) != len(bodies) or not 1 <= len(bodies) <= MOST_PARTS:
        raise BadInput(f"between 1 and {MOST_PARTS} questions are joined, with a multiplier each")
    if not all(type(factor) is int and 1 <= factor < LARGEST_WEIGHT for factor in factors):
        raise BadInput(f"multipliers of joined questions are whole numbers from 1 to {LARGEST_WEIGHT - 1}")
    own: list[dict[str, bytes]] = [{} for _ in bodies]
    for name, data in parts.items():
        number, _, rest = name.partition(".")
        if not number.isdecimal() or str(int(number)) != number or int(number) >= len(bodies):
            raise BadInput("a part of joined questions belongs to none of them")
        own[int(number)][rest] = data
    read: list[Query] = []
    for inner, data in zip(bodies, own, strict=True):
        if not isinstance(inner, Mapping) or inner.get("query") not in _SIMPLE:
            raise BadInput(f"what is joined is one of: {', '.join(_SIMPLE)}")
        read.append(_read_simple(inner, data))
    return Joined(tuple(read), tuple(factors))


def _require(body: Mapping[str, Any], keys: set[str], parts: Mapping[str, bytes], names: set[str]) -> None:
    rows = body.get("rows")
    if set(body) != keys or set(parts) != names or type(rows) is not int or rows < 0:
        raise BadInput(f"a question of the kind {body['query']} holds {', '.join(sorted(keys | names))}")


def _sized(data: bytes, rows: int, width: int) -> bytes:
    if len(data) != rows * width:
        raise BadInput("a question's records do not have the number that its body states")
    return data


def permuted(query: Query, places: NDArray[np.int64]) -> Query:
    """The same question with its rows in another order: row i is what stood at `places[i]`.

    Raises:
        UsageError: for a question that cannot be counted blindly.
    """
    if isinstance(query, GroupCounts):
        query = CodedCounts.of(query)
    if isinstance(query, CodedCounts):
        return CodedCounts(_gathered(query.codes, places), query.size)
    if isinstance(query, WeightedSum):
        return WeightedSum(_gathered(query.weights, places))
    if isinstance(query, ScoreStatistics):
        return query.of(places)
    if isinstance(query, SignedCounts):
        return permuted_signed(query, places)
    if isinstance(query, Joined):
        return Joined(tuple(permuted(part, places) for part in query.parts), query.factors)
    if isinstance(query, Partitioned):
        return permuted_partition(query, places, permuted)
    raise UsageError(f"{type(query).__name__} cannot be counted blindly")


def _gathered(values: NDArray[Any], places: NDArray[np.int64]) -> NDArray[Any]:
    """The values at these places, piece by piece: a piece's places are checked while the cache holds them."""
    found = np.empty(len(places), dtype=values.dtype)
    for start in range(0, len(places), _GATHERED):
        piece = places[start : start + _GATHERED]
        if int(piece.min()) < 0 or int(piece.max()) >= len(values):
            raise BadInput(f"places lie between 0 and {len(values) - 1}")
        np.take(values, piece, out=found[start : start + _GATHERED], mode="clip")
    return found


def groupings(query: Query) -> tuple[NDArray[Any], ...]:
    """The partitions of the records that a question tells of, (rows,) group numbers each."""
    if isinstance(query, ScoreStatistics):
        return tuple(query.codes[:, at].astype(np.int64) for at in range(len(query.widths)))
    if isinstance(query, Joined):
        return tuple(grouping for part in query.parts for grouping in groupings(part))
    return query.groupings()


def groups_per_record(query: Query) -> int:
    """How many groups a question puts every record into; a weighted sum counts as one."""
    if isinstance(query, ScoreStatistics):
        return len(query.widths)
    if isinstance(query, Joined):
        return sum(groups_per_record(part) for part in query.parts)
    if isinstance(query, Partitioned):
        return max(groups_per_record(part) for part in query.parts)
    return 1


def weighings(query: Query) -> tuple[NDArray[np.int64], ...]:
    """The weights of every weighted sum in a question."""
    if isinstance(query, WeightedSum):
        return (query.weights,)
    if isinstance(query, Joined | Partitioned):
        return tuple(weights for part in query.parts for weights in weighings(part))
    return ()
