"""What is looked at of a column, and what is found there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from comity.data.pii.kinds import KINDS, Tells
from comity.data.pii.lexicon import fold

SAMPLE = 400
"""At most this many distinct values of a column are looked at."""

FEWEST_VALUES = 8
"""Fewer distinct values prove only what one value proves (see `few`) and kinds of few values (gender)."""


@dataclass(frozen=True)
class Finding:
    """A kind of value in a column.

    Attributes:
        kind: one of `KINDS`.
        words: what the values are, in words for the steward; it never quotes a value.
        share: of the values looked at, in [0, 1], how many are of that kind.
        confidence: in [0, 1], how sure it is that the column is of that kind: from the share, the strength of
            the evidence (check digits are strong, capital letters weak), the number of values and the header.
        why: more evidence in words, such as what the header says; "" if there is none.
        within: whether the values are texts that hold such things; the share is then of rows with a value.
    """

    kind: str
    words: str
    share: float
    confidence: float = 1.0
    why: str = ""
    within: bool = False

    def __str__(self) -> str:
        if self.within:
            return f"{_percent(self.share)} of its rows with a value hold {self.words} in their text"
        told = f"{self.share:.0%} of its values are {self.words}"
        return f"{told} ({self.why})" if self.why else told

    @property
    def evidence(self) -> str:
        """The whole evidence in one line, for the steward."""
        return str(self)

    @property
    def tells(self) -> Tells:
        """Whether such values name a person, are known of one, or neither."""
        return KINDS[self.kind].tells


def _percent(share: float) -> str:
    return "less than 1%" if 0 < share < 0.01 else f"{share:.0%}"


@dataclass(frozen=True)
class Match:
    """A detector's result before it is weighed.

    Attributes:
        strength: the confidence in a column all of whose values match, without a header.
    """

    kind: str
    share: float
    strength: float
    words: str = ""


class Sample:
    """The distinct values looked at, and what several detectors need of them."""

    def __init__(self, values: Sequence[str]) -> None:
        step = max(len(values) / SAMPLE, 1.0)
        picked = (values[int(at * step)].strip() for at in range(min(len(values), SAMPLE)))
        self.values = tuple(value for value in picked if value)
        self.distinct = len(values)

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def folded(self) -> tuple[str, ...]:
        """The values folded, see `lexicon.fold`."""
        return tuple(fold(value) for value in self.values)

    @cached_property
    def words(self) -> tuple[tuple[str, ...], ...]:
        """The folded words of each value, without commas, full stops and brackets at their ends."""
        return tuple(
            tuple(word for part in value.split() if (word := part.strip(".,;:()[]\"'«»")))
            for value in self.folded
        )

    @cached_property
    def average_words(self) -> float:
        return sum(map(len, self.words)) / len(self)

    @cached_property
    def average_length(self) -> float:
        return sum(map(len, self.values)) / len(self)

    @cached_property
    def digits_share(self) -> float:
        """Of all characters, how many are digits."""
        return sum(sum(map(str.isdigit, value)) for value in self.values) / max(sum(map(len, self.values)), 1)

    def share(self, test: Callable[[str], object]) -> float:
        """Of the values, how many pass."""
        return sum(1 for value in self.values if test(value)) / len(self.values)

    def share_folded(self, test: Callable[[str], object]) -> float:
        return sum(1 for value in self.folded if test(value)) / len(self.values)
