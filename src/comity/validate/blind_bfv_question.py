"""EncryptedQuestion: a blind question whose weights only the ML party can read, and its wire form.

What the parties do with it, who sees what, and what is guaranteed: `blind_bfv`.

Sums have to fit into the plain modulus of 42 bits, so weights are rounded to at most 18 bits: a question's
row becomes the whole numbers next to it divided by 2^s. The error is the ML party's alone, at most half a
unit per record where the noise of one answer is several times 2^17 units.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from comity.crypto.bfv import MOST_SUMMANDS, SLOTS, DecryptionKey, PublicEnd, Scheme
from comity.errors import BadInput, UsageError
from comity.validate.blind_query import CodedCounts
from comity.validate.groups import Partitioned
from comity.validate.metrics import SignedCounts
from comity.validate.queries import GroupCounts, Integers, Joined, Query, WeightedSum
from comity.validate.request import ScoreStatistics

MOST_RECORDS: Final = SLOTS * MOST_SUMMANDS
MOST_SUMS: Final = 128
LARGEST_WEIGHT: Final = 1 << 20
_WEIGHT_BITS: Final = 18


@dataclass(frozen=True)
class Shape:
    """How large an encrypted question is, and nothing else of it; attributes as of `EncryptedQuestion`."""

    records: int
    sums: int
    largest: int

    @classmethod
    def of(cls, query: Query) -> Self:
        """That of a question as it will be encrypted."""
        bits = coarser_bits(query)
        # every entry is rounded by half a unit at most, so that a row gets longer by half their number's root
        largest = query.l2 if not bits else (query.l2 >> bits) + 2 + math.isqrt(query.dimensions) // 2
        return cls(query.rows, query.dimensions, largest)

    def to_dict(self) -> dict[str, Any]:
        return {"query": "encrypted", "records": self.records, "sums": self.sums, "largest": self.largest}

    @classmethod
    def from_dict(cls, body: object) -> Self:
        """Read `to_dict`'s form, from a stranger.

        Raises:
            BadInput: if it is not exactly that, within limits.
        """
        names = ("records", "sums", "largest")
        if not isinstance(body, Mapping) or set(body) != {"query", *names} or body["query"] != "encrypted":
            raise BadInput("this is no encrypted question")
        limits = (MOST_RECORDS, MOST_SUMS, LARGEST_WEIGHT)
        if not all(
            type(body[name]) is int and 1 <= body[name] <= limit
            for name, limit in zip(names, limits, strict=True)
        ):
            raise BadInput(
                f"an encrypted question is about 1 to {MOST_RECORDS} records and 1 to {MOST_SUMS} sums, with "
                f"weights up to {LARGEST_WEIGHT}"
            )
        return cls(*(body[name] for name in names))


@dataclass(frozen=True, eq=False)
class EncryptedQuestion:
    """What the provider gets.

    Attributes:
        records: how many the question is about.
        largest: stated bound on the length of a record's weights over all sums, 1 for groups.
        public: the ML party's public key.
        ciphers: for each sum, the weights of 8,192 records a piece.
    """

    records: int
    largest: int
    public: bytes
    ciphers: tuple[tuple[bytes, ...], ...]

    @classmethod
    def of(cls, query: Query, key: DecryptionKey, scheme: Scheme) -> Self:
        """Encrypt a question's groups or weights.

        Raises:
            UsageError: as `weights_of`.
        """
        rows = weights_of(query)
        end = PublicEnd(scheme, key.public)
        ciphers = tuple(tuple(end.encrypt(piece) for piece in pieces(row)) for row in rows)
        return cls(query.rows, Shape.of(query).largest, key.public, ciphers)

    @property
    def sums(self) -> int:
        return len(self.ciphers)

    @property
    def ciphertext_bytes(self) -> int:
        """Of what is sent to the provider, without the key."""
        return sum(len(data) for row in self.ciphers for data in row)

    def to_message(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """A JSON body and binary parts."""
        body = self.shape.to_dict()
        parts = {
            f"{at}.{piece}": data for at, row in enumerate(self.ciphers) for piece, data in enumerate(row)
        }
        return body, {"public": self.public, **parts}

    @classmethod
    def from_message(cls, body: object, parts: Mapping[str, bytes]) -> Self:
        """Read `to_message`'s form, from a stranger; the ciphertexts are read when they are counted over.

        Raises:
            BadInput: if it is not exactly that.
        """
        shape = Shape.from_dict(body)
        count = -(-shape.records // SLOTS)
        wanted = {f"{at}.{piece}" for at in range(shape.sums) for piece in range(count)}
        if set(parts) != wanted | {"public"}:
            raise BadInput(f"an encrypted question holds a key and {count} ciphertexts for each sum")
        ciphers = tuple(tuple(parts[f"{at}.{piece}"] for piece in range(count)) for at in range(shape.sums))
        return cls(shape.records, shape.largest, parts["public"], ciphers)

    @property
    def shape(self) -> Shape:
        """What may be told of it to who adds the answers up."""
        return Shape(self.records, self.sums, self.largest)


def weights_of(query: Query) -> list[Integers]:
    """(records,) weights for each sum, divided by 2^`coarser_bits` and rounded.

    Raises:
        UsageError: for questions that are not linear in labels, or too large ones.
    """
    if not 1 <= query.rows <= MOST_RECORDS or query.dimensions > MOST_SUMS:
        raise UsageError(
            f"an encrypted question is about 1 to {MOST_RECORDS} records and up to {MOST_SUMS} sums; this "
            f"one is about {query.rows} and {query.dimensions}"
        )
    bits = coarser_bits(query)
    return [(weights + ((1 << bits) >> 1)) >> bits for weights in _weights(query)]


def coarser_bits(query: Query) -> int:
    """By how many bits a question's weights are shortened: rows get no longer than about 2^18."""
    return max(0, query.l2.bit_length() - _WEIGHT_BITS)


def _weights(query: Query) -> Iterator[Integers]:
    if isinstance(query, GroupCounts | CodedCounts | SignedCounts):
        (numbers,) = query.groupings()
        if isinstance(query, SignedCounts):
            for at in range(query.size):
                yield (numbers == 2 * at + 1).astype(np.int64) - (numbers == 2 * at)
        else:
            yield from ((numbers == at).astype(np.int64) for at in range(query.size))
    elif isinstance(query, WeightedSum):
        yield query.weights
    elif isinstance(query, ScoreStatistics):
        at = query.codes.astype(np.int64) + query.offsets[:-1]
        for dimension in range(query.dimensions):
            yield query.mix[:, dimension].astype(np.int64)[at].sum(axis=1) * query.weights
    elif isinstance(query, Joined):
        for factor, part in zip(query.factors, query.parts, strict=True):
            yield from (factor * weights for weights in _weights(part))
    elif isinstance(query, Partitioned):
        for places, part in zip(query.records, query.parts, strict=True):
            for weights in _weights(part):
                spread = np.zeros(query.count, dtype=np.int64)
                spread[places] = weights
                yield spread
    else:
        raise UsageError(f"{type(query).__name__} is not linear in the labels: it cannot be encrypted")


def pieces(row: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """8,192 records a piece, the last one filled up with 0."""
    filled = np.zeros(-(-len(row) // SLOTS) * SLOTS, dtype=np.int64)
    filled[: len(row)] = row
    return list(filled.reshape(-1, SLOTS))
