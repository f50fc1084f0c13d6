"""Opaque labels: groups are called a, b, c instead of what they are; the key stays at the provider.

The ML party learns from groups without being told what they mean. Letters are dealt out in an order from the
operating system's randomness, so that they say nothing about size, order or nesting. This hides words, not
people: classes are as large as before, and who knows how often each group occurs can guess which is which.
k-anonymity and the other models hold as they did; nothing stronger is claimed.

An opaque release cannot be re-applied by the ML party: its manifest tells neither rows nor labels of the
hierarchy, `reapply` and `SoftEncoder` refuse it. Rows to predict on go to the provider, who maps them with
`OpaqueKey.apply`.
"""

from __future__ import annotations

import itertools
import secrets
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from comity.crypto.canonical import digest
from comity.deidentify.hierarchies.hierarchy import Hierarchy, Label, shown
from comity.errors import BadInput, BadTable, UsageError

FORMAT = 1
SUPPRESSED = "*"
_SALT_BYTES = 32


@dataclass(frozen=True)
class Opaque(Hierarchy):
    """A hierarchy whose labels are letters. Values are found as in the true one, which it never writes out.

    Attributes:
        rows: of letters, with the true value as the leaf unless leaves are letters too. None stays a missing
            value and "*" stays "*": they say nothing more than themselves.
        true: the hierarchy that it hides.
        commitment: SHA-256 of the column's key with its salt; proves later which hierarchy it was.
    """

    true: Hierarchy | None = field(default=None, repr=False)
    commitment: str = ""

    def __post_init__(self) -> None:
        if self.true is None or len(self.true.rows) != len(self.rows):
            raise UsageError("an opaque hierarchy is made by make_opaque, from a hierarchy")

    @property
    def _hidden(self) -> Hierarchy:
        if self.true is None:
            raise UsageError("an opaque hierarchy is made by make_opaque, from a hierarchy")
        return self.true

    def to_dict(self) -> dict[str, Any]:
        """The public form, for a manifest: how many levels there are, and the commitment. Neither rows nor
        labels: the number of values under a letter would tell which group it is."""
        return {"opaque": True, "levels": self.levels, "commitment": self.commitment}

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Refused: the public form says too little.

        Raises:
            BadInput: always; `OpaqueKey.from_dict` is what reads a key.
        """
        raise BadInput("an opaque hierarchy is not read back from its public form; read the provider's key")

    @property
    def texts(self) -> list[str]:
        return self._hidden.texts

    def with_missing(self) -> Hierarchy:
        whole = self._hidden.with_missing()
        if whole is self._hidden:
            return self
        top = self.labels[-1][0] if whole.rows[-1][-1] is not None else None
        row = (*[None] * (self.levels - 1), top)
        return Opaque((*self.rows, row), self.edges, self.reading, whole, self.commitment)

    def locate(self, values: Sequence[object]) -> list[int]:
        return self._hidden.locate(values)

    def write_csv(self, path: Any, separator: str = ";") -> None:
        """Refused: the file would hold what the letters stand for.

        Raises:
            UsageError: always.
        """
        raise UsageError("an opaque hierarchy is not written to a file; keep the provider's key instead")


@dataclass(frozen=True)
class OpaqueColumn:
    """The key of one column.

    Attributes:
        hierarchy: the true one.
        letters: per level, the letter of each label, in the order of `hierarchy.labels`; None for a level
            that keeps its labels (leaves, where they were not asked for).
        salt: hexadecimal; keeps the commitment from being guessed.
    """

    hierarchy: Hierarchy
    letters: tuple[tuple[Label, ...] | None, ...] = field(repr=False)
    salt: str = field(repr=False)

    def __post_init__(self) -> None:
        true = self.hierarchy.labels
        if len(self.letters) != len(true) or any(
            given is not None and len(given) != len(labels)
            for given, labels in zip(self.letters, true, strict=True)
        ):
            raise BadInput("an opaque key has one letter for every label of every level")
        if None in self.letters[1:]:
            raise BadInput("an opaque key hides every level above the leaves")
        dealt = self._pairs
        kept = (None, SUPPRESSED)
        used = [letter for letter, label in dealt if label not in kept]
        odd = any(letter != label for letter, label in dealt if label in kept)
        if odd or len(set(used)) != len(used) or set(used) & {*kept, *self._plain}:
            raise BadInput("an opaque key gives every label a letter of its own, and keeps '*' as it is")

    @property
    def _pairs(self) -> list[tuple[Label, Label]]:
        """Letter and label, of every level that has letters."""
        return [
            pair
            for given, labels in zip(self.letters, self.hierarchy.labels, strict=True)
            if given is not None
            for pair in zip(given, labels, strict=True)
        ]

    @property
    def _plain(self) -> set[Label]:
        """Labels that are released as they are."""
        return set(self.hierarchy.leaves) if self.letters[0] is None else set()

    @property
    def commitment(self) -> str:
        return digest([self.salt, self.hierarchy.to_dict(), [each and list(each) for each in self.letters]])

    @cached_property
    def opaque(self) -> Opaque:
        """The hierarchy to anonymise with."""
        columns = [
            [label if given is None else given[code] for code, label in zip(codes, leafwise, strict=True)]
            for given, codes, leafwise in zip(
                self.letters, self.hierarchy.codes, zip(*self.hierarchy.rows, strict=True), strict=True
            )
        ]
        rows = tuple(zip(*columns, strict=True))
        return Opaque(rows, (), None, self.hierarchy, self.commitment)

    @cached_property
    def meaning(self) -> dict[str, Label]:
        """True label of every released one."""
        found: dict[str, Label] = {leaf: leaf for leaf in self._plain if leaf is not None}
        found[SUPPRESSED] = SUPPRESSED
        found.update({letter: label for letter, label in self._pairs if letter is not None})
        return found

    def to_dict(self) -> dict[str, Any]:
        letters = [None if each is None else list(each) for each in self.letters]
        return {"hierarchy": self.hierarchy.to_dict(), "letters": letters, "salt": self.salt}

    @classmethod
    def from_dict(cls, document: object) -> Self:
        if not isinstance(document, dict) or set(document) != {"hierarchy", "letters", "salt"}:
            raise BadInput("a column of an opaque key has 'hierarchy', 'letters' and 'salt'")
        letters = document["letters"]
        if not isinstance(letters, list) or not all(
            each is None
            or (isinstance(each, list) and all(one is None or isinstance(one, str) for one in each))
            for each in letters
        ):
            raise BadInput("the letters of an opaque key are one list of texts per level")
        if not isinstance(document["salt"], str):
            raise BadInput("the salt of an opaque key is a text")
        rows = tuple(None if each is None else tuple(each) for each in letters)
        return cls(Hierarchy.from_dict(document["hierarchy"]), rows, document["salt"])


@dataclass(frozen=True)
class OpaqueKey:
    """What the letters of a release stand for, by column. It stays at the provider.

    Whoever has it reads the release as if nothing had been renamed. Two keys deal letters anew, so releases
    under different keys do not share letters.
    """

    columns: Mapping[str, OpaqueColumn] = field(repr=False)

    @property
    def hierarchies(self) -> dict[str, Opaque]:
        """The opaque hierarchies, to anonymise with."""
        return {name: column.opaque for name, column in self.columns.items()}

    def open(self, frame: Any) -> Any:
        """A release with its true labels again, as the kind of frame that was given.

        Raises:
            BadTable: private; if a column holds a text that is no letter of the key.
        """

        def true(name: str, values: Sequence[object]) -> list[Label]:
            meaning = self.columns[name].meaning
            odd = [str(value) for value in values if value is not None and str(value) not in meaning]
            if odd:
                raise BadTable(f"'{name}' holds {shown(odd)}, which this key did not give out")
            return [None if value is None else meaning[str(value)] for value in values]

        return self._replaced(frame, list(self.columns), true)

    def apply(self, frame: Any, levels: Mapping[str, int]) -> Any:
        """Raw rows as the release has them: the provider's part of predicting on new rows.

        Args:
            levels: per column, the level of the release (`Anonymized.levels`); other columns stay as they
                are. What comes back describes single rows: it leaves only as the agreement allows.

        Raises:
            BadTable: private; naming values that a hierarchy does not hold.
            UsageError: if the key has no such column.
        """
        unknown = [name for name in levels if name not in self.columns]
        if unknown:
            raise UsageError(f"the key has no column '{unknown[0]}'; it has {', '.join(self.columns)}")

        def letters(name: str, values: Sequence[object]) -> list[Label]:
            hierarchy = self.columns[name].opaque
            absent = hierarchy.absent(values)
            if absent:
                raise BadTable(f"the hierarchy of '{name}' has no row for {shown(absent)}")
            return hierarchy.generalise(values, levels[name])

        return self._replaced(frame, list(levels), letters)

    def _replaced(self, frame: Any, names: Sequence[str], change: Any) -> Any:
        from comity.deidentify.search.frames import Frame

        table = Frame(frame)
        replaced = {}
        for name in names:
            if name in table.columns:
                coded = table.coded(name)
                replaced[name] = (coded.codes, change(name, coded.values))
        return table.with_labels(replaced)

    def to_dict(self) -> dict[str, Any]:
        """JSON form, to keep at the provider."""
        columns = {name: column.to_dict() for name, column in self.columns.items()}
        return {"format": FORMAT, "opaque_key": columns}

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Read `to_dict`'s form.

        Raises:
            BadInput: for anything else.
        """
        if (
            not isinstance(document, dict)
            or set(document) != {"format", "opaque_key"}
            or document["format"] != FORMAT
            or not isinstance(document["opaque_key"], dict)
        ):
            raise BadInput(f"this is no opaque key: it has format {FORMAT} and opaque_key")
        columns = document["opaque_key"].items()
        return cls({str(name): OpaqueColumn.from_dict(column) for name, column in columns})


def make_opaque(
    hierarchies: Mapping[str, Hierarchy], *, leaves: bool = False
) -> tuple[dict[str, Opaque], OpaqueKey]:
    """Rename the labels of hierarchies to letters in random order.

    All labels of one column, of all its levels, get different letters; a missing value and "*" stay what they
    are. Anonymise with the hierarchies that come back; the search takes them as it takes any other.

    Args:
        hierarchies: by column; columns that are not named stay readable.
        leaves: values themselves (level 0) become letters too. Without, a column released at level 0 (with
            method "local": a row that kept its value) shows its true values.

    Raises:
        UsageError: if there is no hierarchy, or one is opaque already.
    """
    if not hierarchies:
        raise UsageError("make_opaque needs at least one hierarchy")
    twice = [name for name, hierarchy in hierarchies.items() if isinstance(hierarchy, Opaque)]
    if twice:
        raise UsageError(f"the hierarchy of '{twice[0]}' is opaque already")
    key = OpaqueKey({name: _dealt(hierarchy, leaves) for name, hierarchy in hierarchies.items()})
    return key.hierarchies, key


def _dealt(hierarchy: Hierarchy, leaves: bool) -> OpaqueColumn:
    hidden = hierarchy.labels if leaves else hierarchy.labels[1:]
    count = sum(label not in (None, SUPPRESSED) for labels in hidden for label in labels)
    taken = set() if leaves else set(hierarchy.leaves)
    letters = list(itertools.islice((each for each in _letters() if each not in taken), count))
    secrets.SystemRandom().shuffle(letters)
    dealt: Iterator[str] = iter(letters)
    given = tuple(
        tuple(label if label in (None, SUPPRESSED) else next(dealt) for label in labels) for labels in hidden
    )
    return OpaqueColumn(hierarchy, given if leaves else (None, *given), secrets.token_hex(_SALT_BYTES))


def _letters() -> Iterator[str]:
    """a, b, ..., z, aa, ab, ..."""
    for length in itertools.count(1):
        yield from ("".join(each) for each in itertools.product(string.ascii_lowercase, repeat=length))
