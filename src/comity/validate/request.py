"""ScoreStatistics: the one query that teaches, small enough to send and safe to take from a stranger.

The log-likelihood of an additive model depends on the labels only through sums of labels per bin. The query
names the bins of every record and an integer matrix that mixes their sums:

    u_i = sum over columns j of mix[offset_j + codes[i, j]]                    (whole numbers)
    w_i = min(2^12, floor(2^12 cap / ceil |u_i|))                              (whole numbers)
    answer = sum over records of y_i w_i u_i  + noise

so that |w_i u_i| <= 2^12 cap for every record, whatever the asker sent: the weights are part of the
question and its holder computes them, in integers, alike on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput
from comity.validate.queries import Integers, Labels, Query, Words, frozen, grouped

WEIGHT_BITS: Final = 12
"""A record that is not shortened has weight 2^12."""

MIX_LIMIT: Final = 1 << 20
"""Entries of `mix` lie below this in magnitude, so that products are exact in 64-bit floats."""

LARGEST_COLUMNS, LARGEST_WIDTH, LARGEST_DIMENSIONS = 4096, 1 << 17, 4096
_LARGEST_ENTRIES: Final = 1 << 26
_BLOCK: Final = 1 << 14


@dataclass(frozen=True, eq=False)
class ScoreStatistics(Query):
    """Sums of labels per bin, mixed into few numbers, with shortened rows.

    It has no `groupings`: the monitor's test of isolation asks whether counts that were told add up to the
    label of few records, and here no group's count is told. The bins of a few columns do isolate records (the
    atoms of 8 columns of Adult, 14,021 of them, hold one record each), so that a test on them would forbid
    every lesson. What protects a label is differential privacy alone, of this answer together with all others
    on the account: whatever they are combined to, a label is guessed right at most with chance
    (e^epsilon + delta) / (1 + e^epsilon). Beside that, bins below the minimum are refused
    (`checks.check_bins`), by the records that each validator holds.

    Attributes:
        codes: (rows, columns) uint16, the bin of each record in each column.
        widths: number of bins of each column.
        mix: (sum of widths, dimensions) int32, what a label in each bin contributes.
        cap: rows longer than this are shortened to it; 1 or more.

    Raises:
        BadInput: if the parts do not fit together or pass the limits above.
    """

    codes: NDArray[np.uint16]
    widths: tuple[int, ...]
    mix: NDArray[np.int32]
    cap: int

    def __post_init__(self) -> None:
        codes, mix = np.asarray(self.codes), np.asarray(self.mix)
        if codes.ndim != 2 or codes.dtype != np.uint16 or codes.shape[1] != len(self.widths):
            raise BadInput("codes are a (rows, columns) array of uint16 with one width per column")
        if not 1 <= codes.shape[1] <= LARGEST_COLUMNS or min(self.widths) < 1:
            raise BadInput(f"a query has between 1 and {LARGEST_COLUMNS} columns, each of width 1 or more")
        if mix.ndim != 2 or mix.dtype != np.int32 or mix.shape[0] != sum(self.widths):
            raise BadInput("mix is an int32 array with one row for each bin of each column")
        if mix.shape[0] > LARGEST_WIDTH or not 1 <= mix.shape[1] <= LARGEST_DIMENSIONS:
            raise BadInput(f"mix has at most {LARGEST_WIDTH} rows and {LARGEST_DIMENSIONS} dimensions")
        if mix.size > _LARGEST_ENTRIES:
            raise BadInput(f"mix has more than {_LARGEST_ENTRIES} entries")
        if mix.min() <= -MIX_LIMIT or mix.max() >= MIX_LIMIT:
            raise BadInput(f"entries of mix lie below {MIX_LIMIT} in magnitude")
        if not 1 <= self.cap < 1 << 31:
            raise BadInput("cap lies between 1 and 2^31 - 1")
        if len(codes) and (codes.max(axis=0) >= np.array(self.widths)).any():
            raise BadInput("a code lies beyond its column's width")
        if self._longest() >= 2.0**30:
            raise BadInput("rows of this query could leave the range of exact arithmetic: use a coarser mix")
        for name, array in (("codes", codes), ("mix", mix)):
            object.__setattr__(self, name, frozen(array, array.dtype))

    @property
    def rows(self) -> int:
        return self.codes.shape[0]

    @property
    def dimensions(self) -> int:
        return self.mix.shape[1]

    @property
    def l2(self) -> int:
        return self.cap << WEIGHT_BITS

    @property
    def l1(self) -> int:
        return math.isqrt(self.dimensions * self.l2**2 - 1) + 1

    @property
    def largest_sum(self) -> int:
        return max(1, self.rows) * self.l2

    @cached_property
    def offsets(self) -> Integers:
        """(columns + 1,) where each column's bins start in `mix`."""
        return np.concatenate([[0], np.cumsum(self.widths)]).astype(np.int64)

    @cached_property
    def weights(self) -> Integers:
        """(rows,) w_i, between 0 and 2^12."""
        root = np.sqrt(self.squared_norms().astype(np.float64))
        # the conversion and the root are off by far less than 1; one more makes it an upper bound
        length = np.maximum(np.ceil(root).astype(np.int64) + 1, 1)
        return np.minimum(1 << WEIGHT_BITS, (self.cap << WEIGHT_BITS) // length)

    def squared_norms(self) -> Integers:
        """(rows,) |u_i|^2, exactly."""
        columns, width = len(self.widths), self.mix.shape[0]
        pairwise = (columns + 1) / 2 < self.dimensions and width * width <= 1 << 25
        return self._norms_by_pairs() if pairwise else self._norms_by_rows()

    def sums(self, labels: Labels) -> Integers:
        return self.mix.astype(np.int64).T @ self.counts(np.where(labels == 1, self.weights, 0))

    def padded_sums(self, words: Words) -> Words:
        weighted = words * self.weights.view(np.uint64)
        parts = [
            grouped(self.codes[:, at].astype(np.int64), weighted, width)
            for at, width in enumerate(self.widths)
        ]
        # numpy's whole-number products wrap at 2^64, which is what is meant here
        return self.mix.astype(np.int64).view(np.uint64).T @ np.concatenate(parts)

    def counts(self, weights: NDArray[Any]) -> Integers:
        """(sum of widths,) the sum of whole-numbered weights per bin, exactly."""
        # float sums of whole numbers are exact below 2^53: rows 2^12 stays far below it
        parts = [
            np.bincount(self.codes[:, at], weights=weights, minlength=width)
            for at, width in enumerate(self.widths)
        ]
        return np.concatenate(parts).astype(np.int64)

    def row(self, record: int) -> Integers:
        at = self.offsets[:-1] + self.codes[record].astype(np.int64)
        return self.mix[at].astype(np.int64).sum(axis=0) * self.weights[record]

    def bin_counts(self) -> list[Integers]:
        """Records per bin of each column."""
        return [np.bincount(self.codes[:, at], minlength=w) for at, w in enumerate(self.widths)]

    def of(self, records: NDArray[Any]) -> Self:
        """The same question about some of the records, in the order given."""
        return type(self)(np.ascontiguousarray(self.codes[records]), self.widths, self.mix, self.cap)

    def to_message(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """A JSON body and binary parts: codes column by column (one byte where widths allow), mix by rows."""
        small = max(self.widths) <= 256
        codes = self.codes.astype(np.uint8 if small else "<u2")
        body = {
            "query": "score-statistics",
            "rows": self.rows,
            "widths": list(self.widths),
            "dimensions": self.dimensions,
            "cap": self.cap,
            "code_bytes": 1 if small else 2,
        }
        return body, {"codes": codes.tobytes(order="F"), "mix": self.mix.astype("<i4").tobytes()}

    @classmethod
    def from_message(cls, body: Mapping[str, Any], parts: Mapping[str, bytes]) -> Self:
        """Read a message from a peer.

        Raises:
            BadInput: if it is not what `to_message` writes.
        """
        keys = {"query", "rows", "widths", "dimensions", "cap", "code_bytes"}
        if set(body) != keys or body["query"] != "score-statistics" or set(parts) != {"codes", "mix"}:
            raise BadInput("this is not a score-statistics query")
        numbers = [body["rows"], body["dimensions"], body["cap"], body["code_bytes"], *body["widths"]]
        if not all(type(number) is int and 0 <= number < 1 << 40 for number in numbers):
            raise BadInput("the numbers of a score-statistics query are whole and not negative")
        widths, rows = tuple(body["widths"]), body["rows"]
        dtype = np.dtype(np.uint8 if body["code_bytes"] == 1 else "<u2")
        if body["code_bytes"] not in (1, 2) or len(parts["codes"]) != rows * len(widths) * dtype.itemsize:
            raise BadInput("the codes of a score-statistics query do not have the size its body states")
        if len(parts["mix"]) != 4 * sum(widths) * body["dimensions"]:
            raise BadInput("the mix of a score-statistics query does not have the size its body states")
        codes = np.frombuffer(parts["codes"], dtype=dtype).reshape((rows, len(widths)), order="F")
        mix = np.frombuffer(parts["mix"], dtype="<i4").reshape(sum(widths), body["dimensions"])
        return cls(codes.astype(np.uint16), widths, mix.astype(np.int32), body["cap"])

    def _longest(self) -> float:
        """Bound on |u_i| over all conceivable records."""
        lengths = np.sqrt(np.square(self.mix.astype(np.float64)).sum(axis=1))
        return float(np.maximum.reduceat(lengths, np.array(self.offsets[:-1])).sum())

    def _norms_by_pairs(self) -> Integers:
        """|u|^2 = sum over pairs of columns of the inner products of their bins' mixes."""
        mix = self.mix.astype(np.float64)
        # whole numbers below 2^53 throughout (2^40 times 2^12 dimensions), so exact in any order
        products = (mix @ mix.T).astype(np.int64)
        squares = np.zeros(self.rows, dtype=np.int64)
        coded = [self.codes[:, at].astype(np.int64) for at in range(len(self.widths))]
        for one, first in enumerate(coded):
            rows = products[self.offsets[one] : self.offsets[one + 1]]
            squares += np.diagonal(rows, self.offsets[one])[first]
            for two in range(one + 1, len(coded)):
                table = np.ascontiguousarray(rows[:, self.offsets[two] : self.offsets[two + 1]]).ravel()
                squares += 2 * table[first * self.widths[two] + coded[two]]
        return squares

    def _norms_by_rows(self) -> Integers:
        """|u|^2 from the rows themselves."""
        squares = np.empty(self.rows, dtype=np.int64)
        for start in range(0, self.rows, _BLOCK):
            block = self.codes[start : start + _BLOCK].astype(np.int64) + self.offsets[:-1]
            summed = np.zeros((len(block), self.dimensions), dtype=np.int64)
            for at in range(block.shape[1]):
                summed += self.mix[block[:, at]]
            squares[start : start + _BLOCK] = np.einsum("ij,ij->i", summed, summed)
        return squares
