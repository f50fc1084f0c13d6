"""Blind counting where the groups are sensitive: the ML party encrypts them, the provider keeps its labels.

For groups that nobody else may see, for labels that are whole numbers within bounds, and where there is no
mediator. With one provider:

1. `EncryptedQuestion`: the ML party encrypts, for every sum it wants, one whole number per record (0 or 1 for
   a group, or weights), 8,192 records to a ciphertext.
2. `encrypted_count`: the provider multiplies by its labels, adds up, and adds a vector that is uniform modulo
   the plain modulus but for its sum, which is the noise. The slots are partial sums and would tell labels;
   under the vector they tell the noisy sum and nothing else.
3. `opened_count`: the ML party decrypts, adds the slots up, and has the noisy sum.

Who sees what. Provider: ciphertexts, how many sums are wanted, and the largest weight; no group, no
prediction. ML party: the noisy sums.

Guarantee: label-private (change-one), as for any Gaussian answer, against an ML party that follows the
protocol. The provider cannot see the weights, so it cannot check that none is larger than stated, that a
record is in one group only, or that a group is large enough; nor that key and ciphertexts are sound. An ML
party that lies about them learns labels. So this has to be allowed by name (`unsafe_unseen_groups`).

CKKS is not used: its sums are approximate, it has no uniform mask, and its decryptions tell of the key (Li
and Micciancio 2021).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from comity import noise
from comity.crypto.bfv import (
    MOST_SUMMANDS,
    PLAIN_BITS,
    SLOTS,
    DecryptionKey,
    PublicEnd,
    Scheme,
    flood_distance,
    uniform_with_sum,
)
from comity.errors import BadInput, BadTable, ClauseRefused, UsageError
from comity.validate.blind_price import FINE_BITS, GRID_SHARE, portion_calibration
from comity.validate.mechanism import Calibration, NoisySums, Price, Sizes
from comity.validate.queries import GroupCounts, Integers, Query, WeightedSum

MOST_RECORDS: Final = SLOTS * MOST_SUMMANDS
MOST_SUMS: Final = 128
_LARGEST_WEIGHT: Final = 1 << 20
_LEAST_FINE_BITS: Final = 16


@dataclass(frozen=True, eq=False)
class EncryptedQuestion:
    """What the provider gets.

    Attributes:
        records: how many the question is about.
        largest: stated bound on the magnitude of weights; a record has one in one sum only.
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
            UsageError: for other questions than counts per group and weighted sums, or too large ones.
        """
        rows = weights_of(query)
        end = PublicEnd(scheme, key.public)
        ciphers = tuple(tuple(end.encrypt(piece) for piece in pieces(row)) for row in rows)
        return cls(query.rows, query.l2, key.public, ciphers)

    @property
    def sums(self) -> int:
        return len(self.ciphers)

    @property
    def ciphertext_bytes(self) -> int:
        """Of what is sent to the provider, without the key."""
        return sum(len(data) for row in self.ciphers for data in row)

    def to_message(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """A JSON body and binary parts."""
        body = {"query": "encrypted", "records": self.records, "sums": self.sums, "largest": self.largest}
        parts = {
            f"{at}.{piece}": data for at, row in enumerate(self.ciphers) for piece, data in enumerate(row)
        }
        return body, {"public": self.public, **parts}

    @classmethod
    def from_message(cls, body: Mapping[str, Any], parts: Mapping[str, bytes]) -> Self:
        """Read `to_message`'s form, from a stranger; the ciphertexts are read when they are counted over.

        Raises:
            BadInput: if it is not exactly that.
        """
        names = ("records", "sums", "largest")
        if set(body) != {"query", *names} or body["query"] != "encrypted":
            raise BadInput("this is no encrypted question")
        limits = (MOST_RECORDS, MOST_SUMS, _LARGEST_WEIGHT)
        if not all(
            type(body[name]) is int and 1 <= body[name] <= limit
            for name, limit in zip(names, limits, strict=True)
        ):
            raise BadInput(
                f"an encrypted question is about 1 to {MOST_RECORDS} records and 1 to {MOST_SUMS} sums, with "
                f"weights up to {_LARGEST_WEIGHT}"
            )
        count = -(-body["records"] // SLOTS)
        wanted = {f"{at}.{piece}" for at in range(body["sums"]) for piece in range(count)}
        if set(parts) != wanted | {"public"}:
            raise BadInput(f"an encrypted question holds a key and {count} ciphertexts for each sum")
        ciphers = tuple(tuple(parts[f"{at}.{piece}"] for piece in range(count)) for at in range(body["sums"]))
        return cls(body["records"], body["largest"], parts["public"], ciphers)


def weights_of(query: Query) -> list[Integers]:
    """(records,) weights for each sum.

    Raises:
        UsageError: for other questions, or too large ones.
    """
    if not 1 <= query.rows <= MOST_RECORDS or query.dimensions > MOST_SUMS or query.l2 > _LARGEST_WEIGHT:
        raise UsageError(
            f"an encrypted question is about 1 to {MOST_RECORDS} records and up to {MOST_SUMS} sums, with "
            f"weights up to {_LARGEST_WEIGHT}"
        )
    if isinstance(query, GroupCounts):
        return [(query.groups == at).astype(np.int64) for at in range(query.size)]
    if isinstance(query, WeightedSum):
        return [query.weights]
    raise UsageError(f"{type(query).__name__} is not encrypted: ask for counts per group or a weighted sum")


def pieces(row: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """8,192 records a piece, the last one filled up with 0."""
    filled = np.zeros(-(-len(row) // SLOTS) * SLOTS, dtype=np.int64)
    filled[: len(row)] = row
    return list(filled.reshape(-1, SLOTS))


def count_calibration(
    records: int, sums: int, largest: int, bounds: tuple[int, int], price: Price
) -> Calibration:
    """The noise, from public facts: both ends reckon it. The grid is as fine as there is room for.

    Raises:
        UsageError: if sums and noise do not fit, or delta is too small for grid and flooding.
    """
    low, high = bounds
    if not low < high or high - low > _LARGEST_WEIGHT:
        raise UsageError(f"labels lie between two whole numbers at most {_LARGEST_WEIGHT} apart")
    move = largest * (high - low)
    sizes = Sizes(sums, move * math.isqrt(sums), move, move * records)
    flood = (1 + math.exp(price.epsilon)) * flood_distance(sums, -(-records // SLOTS))
    if flood > price.delta * GRID_SHARE:
        raise UsageError(f"delta {price.delta:g} is too small for {sums} encrypted sums; fewer sums may fit")
    for fine_bits in range(FINE_BITS, _LEAST_FINE_BITS, -1):
        # the grid and the flooding take a 64th of delta each
        found = portion_calibration(
            sizes, Price(price.epsilon, price.delta * (1 - GRID_SHARE)), fine_bits=fine_bits
        )
        if math.ldexp(float(sizes.largest_sum), found.shift) + 40 * found.scale < 2.0 ** (PLAIN_BITS - 2):
            return found
    raise UsageError(
        f"sums over {records} records with weights up to {largest} do not fit into {PLAIN_BITS} bits; use "
        "smaller weights, or fewer records"
    )


def encrypted_count(
    question: EncryptedQuestion,
    labels: NDArray[np.integer[Any]],
    price: Price,
    *,
    bounds: tuple[int, int] = (0, 1),
    unsafe_unseen_groups: bool = False,
) -> list[bytes]:
    """The provider's part: one ciphertext per sum. To be called after the charge is durable.

    Args:
        question: as it came.
        labels: (records,) whole numbers.
        price: what was charged: label-private, change-one.
        bounds: the least and the largest label there may be; a public fact.
        unsafe_unseen_groups: that the ML party is trusted with weights that nobody checks.

    Raises:
        ClauseRefused: without `unsafe_unseen_groups`.
        BadTable: private, for labels outside the bounds or of another number.
        BadInput: for ciphertexts that are none.
        UsageError: as `count_calibration`.
    """
    if not unsafe_unseen_groups:
        raise ClauseRefused(
            "the provider cannot see the groups, so it cannot hold the ML party to them",
            clause="architectures.blind-validation.unsafe_unseen_groups",
            would_pass="groups that the mediator sees, or unsafe_unseen_groups: true in the agreement",
        )
    if labels.shape != (question.records,) or ((labels < bounds[0]) | (labels > bounds[1])).any():
        raise BadTable(f"the labels are whole numbers from {bounds[0]} to {bounds[1]}, one for each record")
    scheme = Scheme()
    end = PublicEnd(scheme, question.public)
    calibration = count_calibration(question.records, question.sums, question.largest, bounds, price)
    values = pieces((labels.astype(np.int64) - bounds[0]) << calibration.shift)
    drawn = noise.add_discrete_gaussian(np.zeros(question.sums, dtype=np.int64), calibration.scale)
    return [
        end.weighted(row, values, uniform_with_sum(int(extra), scheme.plain_modulus))
        for row, extra in zip(question.ciphers, drawn, strict=True)
    ]


def opened_count(
    answer: list[bytes],
    query: Query,
    price: Price,
    key: DecryptionKey,
    scheme: Scheme,
    *,
    bounds: tuple[int, int] = (0, 1),
) -> NoisySums:
    """The ML party's part: noisy sums of weights times labels.

    Raises:
        BadInput: if the answer has another number of ciphertexts, or they are none.
    """
    rows = weights_of(query)
    if len(answer) != len(rows):
        raise BadInput(f"an answer has a ciphertext for each of {len(rows)} sums, this one has {len(answer)}")
    calibration = count_calibration(query.rows, len(rows), query.l2, bounds, price)
    modulus = scheme.plain_modulus
    values: list[float] = []
    for data, row in zip(answer, rows, strict=True):
        total = int(key.decrypt(data).sum()) % modulus
        centred = total - modulus if total > modulus // 2 else total
        values.append(math.ldexp(float(centred), -calibration.shift) + bounds[0] * int(row.sum()))
    return NoisySums(np.array(values), calibration)
