"""Which released rows could be a person's: raw quasi-identifiers against generalised ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from comity.data import Table

_MISSING = ("?", "NA", "")


@dataclass(frozen=True)
class Seen:
    """What the release shows of each person looked up.

    Attributes:
        covering: released rows whose labels cover the person's quasi-identifiers.
        matching: those of them with the person's target value.
        tightest: of the classes with matching rows, the least part of all possible quasi-identifiers that one
            covers, as a logarithm; infinity where no row matches.
        guess: code of the commonest target value among the covering rows; of the whole release where none
            covers.
        truth: code of the person's target value; -1 if the release has no such value.
    """

    covering: NDArray[np.int64]
    matching: NDArray[np.int64]
    tightest: NDArray[np.float64]
    guess: NDArray[np.int64]
    truth: NDArray[np.int64]


class Cover:
    """A release, ready to be looked up in.

    Rows are grouped by the levels of their labels: one group for a release with common levels, several where
    levels differ by row. In each group a person's values become labels, and equal labels are found by key.
    """

    def __init__(self, release: Table, manifest: Mapping[str, Any], target: str) -> None:
        if not isinstance(manifest.get("quasi_identifiers"), Mapping):
            raise BadInput("this is no manifest of a generalised release: it has no quasi_identifiers")
        self._entries = dict(manifest["quasi_identifiers"])
        self._target = target
        codes, self._targets = release.levels(target)
        self.rows = release.rows
        self._truth = {value: code for code, value in enumerate(self._targets)}
        counts = np.bincount(codes[codes >= 0], minlength=max(1, len(self._targets)))
        self.commonest = int(counts.argmax())
        self._groups: dict[tuple[int, ...], dict[tuple[Any, ...], tuple[NDArray[np.int64], float]]] = {}
        self._index(release, codes)

    def _index(self, release: Table, codes: NDArray[np.int32]) -> None:
        columns = [release.strings(name) for name in self._entries]
        levels_of = [self._levels(entry) for entry in self._entries.values()]
        shares_of = [
            _shares(entry["hierarchy"]["rows"], levels)
            for entry, levels in zip(self._entries.values(), levels_of, strict=True)
        ]
        counted: dict[tuple[Any, ...], NDArray[np.int64]] = {}
        for row, code in zip(zip(*columns, strict=True), codes.tolist(), strict=True):
            found = counted.get(row)
            if found is None:
                found = counted[row] = np.zeros(len(self._targets) + 1, dtype=np.int64)
            found[code] += 1  # the last place takes -1, a missing target
        for row, found in counted.items():
            node = tuple(levels[label] for levels, label in zip(levels_of, row, strict=True))
            part = sum(math.log(shares[label]) for shares, label in zip(shares_of, row, strict=True))
            self._groups.setdefault(node, {})[row] = found, part

    @staticmethod
    def _levels(entry: Mapping[str, Any]) -> dict[str | None, int]:
        """The level at which a label stands; the highest, where it stands at several."""
        if entry["level"] is not None:
            return {row[entry["level"]]: int(entry["level"]) for row in entry["hierarchy"]["rows"]}
        return {label: level for row in entry["hierarchy"]["rows"] for level, label in enumerate(row)}

    def look_up(self, people: Table) -> Seen:
        """What the release shows of people with raw quasi-identifiers."""
        codes, values = people.levels(self._target)
        lookup = np.array([self._truth.get(value, -1) for value in values] + [-1])
        truth = lookup[codes]
        paths = [_paths(people, name, entry) for name, entry in self._entries.items()]
        counts = np.zeros((people.rows, len(self._targets) + 1), dtype=np.int64)
        tightest = np.full(people.rows, np.inf)
        wanted = truth.tolist()
        for node, classes in self._groups.items():
            columns = [column[level] for column, level in zip(paths, node, strict=True)]
            for row, key in enumerate(zip(*columns, strict=True)):
                found = classes.get(key)
                if found is not None:
                    counts[row] += found[0]
                    if wanted[row] >= 0 and found[0][wanted[row]] and found[1] < tightest[row]:
                        tightest[row] = found[1]
        known = counts[:, :-1]
        covering = counts.sum(axis=1)
        guess = np.where(known.sum(axis=1) > 0, known.argmax(axis=1), self.commonest)
        matching = np.where(truth >= 0, known[np.arange(len(truth)), np.maximum(truth, 0)], 0)
        return Seen(covering, matching, tightest, guess, truth)


def _shares(rows: Sequence[Sequence[Any]], levels: Mapping[Any, int]) -> dict[Any, float]:
    """For each label, the part of the hierarchy's rows that it covers at its level."""
    return {label: sum(row[level] == label for row in rows) / len(rows) for label, level in levels.items()}


def _paths(people: Table, name: str, entry: Mapping[str, Any]) -> list[list[str | None]]:
    """For each level, what every person's value becomes; a value that the hierarchy lacks covers nothing."""
    rows = {row[0]: row for row in entry["hierarchy"]["rows"]}
    edges = entry["hierarchy"].get("edges")
    codes, values = people.levels(name)
    found = [_row(value, rows, edges) for value in (*values, None)]
    depth = len(next(iter(rows.values())))
    nowhere: Sequence[Any] = [object()] * depth
    paths = [nowhere if row is None else row for row in found]
    return [[paths[code][level] for code in codes.tolist()] for level in range(depth)]


def _row(value: str | None, rows: Mapping[Any, Sequence[Any]], edges: Sequence[float] | None) -> Any:
    if value in rows:
        return rows[value]
    if value is None or value in _MISSING:
        return next((rows[text] for text in (None, *_MISSING) if text in rows), None)
    try:
        number = float(value)
    except ValueError:
        return None
    if edges:
        if not edges[0] <= number <= edges[-1]:
            return None
        bins = list(rows.values())
        return bins[min(int(np.searchsorted(edges, number, side="right")) - 1, len(edges) - 2)]
    return rows.get(str(int(number))) if number.is_integer() else None
