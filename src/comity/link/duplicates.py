"""Which records of several parties are one person's, and which one of them is kept.

For whoever compares tokens: a mediator. Tokens are read in slices of their first bits, so memory follows one
slice and the records that stand more than once, not the tables. The record that is kept is drawn: by a fixed
rule what is released would come from one party more often than its share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput
from comity.link.tokens import Tokens
from comity.noise import permutation

Read = Callable[[str, str], Iterator[Tokens]]
"""(holder, other) -> the holder's tokens for the other party, batch by batch, in the order of its records."""

SLICE_RECORDS = 2_000_000


@dataclass(frozen=True)
class Duplicates:
    """What was found.

    Attributes:
        dropped: per party, rows (places in its table, rising) that are left out.
        people: how many people stand at several parties; records: how many records they have together.
    """

    dropped: Mapping[str, NDArray[np.int64]]
    people: int
    records: int


def find_duplicates(rows: Mapping[str, int], read: Read, *, slice_records: int = SLICE_RECORDS) -> Duplicates:
    """Find the records that stand at several parties and draw the one of each person that stays.

    Args:
        rows: how many records each party has.

    Raises:
        BadInput: if one party's tokens repeat: an id names one record there.
    """
    parties = list(rows)
    starts = dict(zip(parties, np.cumsum([0, *rows.values()])[:-1].tolist(), strict=True))
    slices = max(1, -(-sum(rows.values()) // slice_records))
    linked: list[NDArray[np.int64]] = []
    for one, other in combinations(parties, 2):
        for part in range(slices):
            here, there = (
                _slice(read(holder, counterpart), holder, part, slices)
                for holder, counterpart in ((one, other), (other, one))
            )
            pairs = _matches(here, there)
            linked.append(pairs + np.array([starts[one], starts[other]]))
    return _drawn(np.concatenate([np.zeros((0, 2), dtype=np.int64), *linked]), rows, starts)


@dataclass(frozen=True)
class _Slice:
    """Tokens of a slice in rising order, and the records they are of."""

    tokens: Tokens
    records: NDArray[np.int64]


def _slice(batches: Iterator[Tokens], holder: str, part: int, slices: int) -> _Slice:
    tokens: list[Tokens] = [np.zeros((0, 2), dtype=np.uint64)]
    records: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    first = 0
    for batch in batches:
        chosen = np.flatnonzero(batch[:, 0] % np.uint64(slices) == part)
        tokens.append(batch[chosen])
        records.append(chosen + first)
        first += len(batch)
    found, places = np.concatenate(tokens), np.concatenate(records)
    order = np.lexsort((found[:, 1], found[:, 0]))
    found, places = found[order], places[order]
    if len(found) > 1 and bool((found[1:] == found[:-1]).all(axis=1).any()):
        raise BadInput(
            f"'{holder}' sent one linkage token twice: an id names one record; it should remove the repeats"
        )
    return _Slice(found, places)


def _matches(here: _Slice, there: _Slice) -> NDArray[np.int64]:
    """(matches, 2) records of both sides with one token."""
    tokens = np.concatenate([here.tokens, there.tokens])
    records = np.concatenate([here.records, there.records])
    order = np.lexsort((tokens[:, 1], tokens[:, 0]))  # stable: of equal tokens the one from here comes first
    tokens, records = tokens[order], records[order]
    same = np.flatnonzero((tokens[1:] == tokens[:-1]).all(axis=1))
    return np.stack([records[same], records[same + 1]], axis=1).astype(np.int64)


def _drawn(linked: NDArray[np.int64], rows: Mapping[str, int], starts: Mapping[str, int]) -> Duplicates:
    """Of each group of linked records, keep one, every one equally likely."""
    records, places = np.unique(linked, return_inverse=True)
    group = _groups(places.reshape(-1, 2), len(records))
    order = permutation(len(records))
    _, first = np.unique(group[order], return_index=True)
    stays = np.zeros(len(records), dtype=bool)
    stays[order[first]] = True
    gone = records[~stays]
    dropped = {
        party: gone[(gone >= starts[party]) & (gone < starts[party] + count)] - starts[party]
        for party, count in rows.items()
    }
    return Duplicates(dropped, people=len(first), records=len(records))


def _groups(pairs: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(count,) the smallest record of each one's group: labels go along the links until none changes."""
    label = np.arange(count)
    while True:
        low = np.minimum(label[pairs[:, 0]], label[pairs[:, 1]])
        before = label.copy()
        np.minimum.at(label, pairs[:, 0], low)
        np.minimum.at(label, pairs[:, 1], low)
        if np.array_equal(label, before):
            return label


def words_of(tokens: Sequence[bytes]) -> Tokens:
    """(records, 2) tokens from their bytes."""
    return np.frombuffer(b"".join(tokens), dtype="<u8").astype(np.uint64).reshape(-1, 2)
