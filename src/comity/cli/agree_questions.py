"""Questions to a steward, each answered from a file, an option, or at the terminal.

A question has a path (`data.north.licence`), which is also where its answer stands in a file of answers.
Where nobody sits at a terminal the default holds, and what has none is listed at the end: nothing ever waits.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from comity.errors import BadAgreement, UsageError

_MISSING = object()
_YES, _NO = frozenset({"yes", "y", "true"}), frozenset({"no", "n", "false"})


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, the two among them unless `open`."""

    low: float
    high: float = math.inf
    open: bool = False

    def words(self) -> str:
        if self.open:
            return f"above {self.low:g}" + ("" if self.high == math.inf else f" and below {self.high:g}")
        return f"at least {self.low:g}" + ("" if self.high == math.inf else f" and at most {self.high:g}")

    def holds(self, value: float) -> bool:
        if self.open:
            return self.low < value < self.high
        return self.low <= value <= self.high


POSITIVE = Range(0, open=True)
CHANCE = Range(0, 1, open=True)
SHARE = Range(0, 1)


class Questions:
    """Asks, and remembers what was asked, what was missing and which answers nobody asked for.

    Args:
        answers: nested mappings; see `read_answers` and `put_answer`.
        ask: whether somebody may be asked.
    """

    def __init__(self, answers: Mapping[str, Any], *, ask: bool) -> None:
        self._answers = answers
        self.ask = ask
        self.asked: set[tuple[str, ...]] = set()
        self._missing: list[str] = []

    def say(self, text: str) -> None:
        """An explanation for whoever is asked."""
        if self.ask:
            print(text, file=sys.stderr)

    def has(self, path: str) -> bool:
        """Whether an answer stands at a place, or below it."""
        return self._find(path) is not _MISSING

    def take(self, path: str) -> Any:
        """An answer that is taken as it is, whole; None if there is none."""
        found = self._find(path)
        self.asked.add(tuple(path.split(".")))
        return None if found is _MISSING else found

    def text(
        self, path: str, words: str, default: str | None = None, *, optional: bool = False
    ) -> str | None:
        """A text; None only where it is optional."""
        return self._put(path, words, default, _as_text, optional=optional)

    def number(
        self,
        path: str,
        words: str,
        default: float | None = None,
        *,
        within: Range | None = None,
        optional: bool = False,
    ) -> float | None:
        """A number, in a range where one is given."""
        return self._put(path, words, default, _in_range(within, _as_number), optional=optional)

    def count(
        self,
        path: str,
        words: str,
        default: int | None = None,
        *,
        within: Range | None = None,
        optional: bool = False,
    ) -> int | None:
        """A whole number, 0 or more."""
        return self._put(path, words, default, _in_range(within, _as_count), optional=optional)

    def day(self, path: str, words: str, default: str) -> str | None:
        """A day as YYYY-MM-DD."""
        return self._put(path, words, default, _as_day)

    def flag(self, path: str, words: str, default: bool | None = None) -> bool | None:
        return self._put(path, words, default, _as_flag)

    def choice(
        self, path: str, words: str, choices: Mapping[str, str], default: str | None = None
    ) -> str | None:
        """One of several, each with what it means."""
        if not self.has(path):
            self.say(words)
            for name, meaning in choices.items():
                self.say(f"    {name:<20} {meaning}")
        return self._put(path, words if self.has(path) else "  Which", default, _one_of(tuple(choices)))

    def finish(self) -> None:
        """Say what is missing or was answered without a question.

        Raises:
            UsageError: naming all of it.
        """
        unknown = [path for path in _leaves(self._answers) if not self._covered(path)]
        if unknown:
            raise UsageError(
                f"nobody asks for {', '.join('.'.join(path) for path in unknown[:10])}: check the spelling, "
                "or take it out of the answers (comity agree draft --help lists them)"
            )
        if self._missing:
            raise UsageError(
                "these answers are missing: "
                + "; ".join(self._missing[:20])
                + ". Give them in --answers FILE.yaml, by --set PATH=VALUE, or run this at a terminal"
            )

    def _covered(self, path: tuple[str, ...]) -> bool:
        return any(path[: len(asked)] == asked for asked in self.asked)

    def _put(
        self,
        path: str,
        words: str,
        default: Any,
        read: Callable[[Any], Any],
        *,
        optional: bool = False,
    ) -> Any:
        self.asked.add(tuple(path.split(".")))
        given = self._find(path)
        if given is not _MISSING:
            if given is None and optional:
                return None
            try:
                return read(given)
            except ValueError as error:
                raise UsageError(f"the answer {path}: {error}") from None
        explanation, _, question = words.rpartition("\n")
        if self.ask:
            if explanation:
                self.say(explanation)
            return self._at_terminal(question, default, read, optional=optional)
        if default is None and not optional:
            self._missing.append(f"{path} ({question.strip()})")
        return default

    def _at_terminal(self, words: str, default: Any, read: Callable[[Any], Any], *, optional: bool) -> Any:
        import typer

        shown = "" if default is None else _shown(default)
        while True:
            answer = str(
                typer.prompt(
                    words,
                    default=shown if default is not None or optional else None,
                    show_default=bool(shown),
                    err=True,
                )
            ).strip()
            if not answer and optional:
                return None
            try:
                return read(answer)
            except ValueError as error:
                self.say(f"  That cannot be taken: {error}. Again.")

    def _find(self, path: str) -> Any:
        place: Any = self._answers
        for step in path.split("."):
            if not isinstance(place, Mapping) or step not in place:
                return _MISSING
            place = place[step]
        return place


def read_answers(path: Path) -> dict[str, Any]:
    """A file of answers: YAML, read as strictly as an agreement.

    Raises:
        BadAgreement: if it cannot be read, or is not a mapping.
    """
    from comity.agreement.text import read_document

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadAgreement(f"the answers {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadAgreement(f"the answers {path} are not UTF-8 text; save them as UTF-8") from None
    value = read_document(text, where=f"the answers {path}").value
    if not isinstance(value, dict):
        raise BadAgreement(f"the answers {path} are not a mapping of questions to answers")
    return value


def put_answer(answers: dict[str, Any], option: str, value: Any = _MISSING) -> None:
    """Put one answer at its place: `data.north.licence=CC BY 4.0`.

    Raises:
        UsageError: if it has no `=`, or its place is inside another answer.
    """
    path, separator, text = option.partition("=")
    if value is _MISSING:
        if not separator or not path.strip():
            raise UsageError(
                f"--set {option[:80]!r}: write PATH=VALUE, for instance data.north.seed_rows=200"
            )
        value = _plain(text)
    *before, last = path.strip().split(".")
    place: Any = answers
    for step in before:
        if isinstance(place, list):
            place = place[_index(place, step)]
        else:
            if place.get(step) is None:
                place[step] = {}
            place = place[step]
        if not isinstance(place, dict | list):
            raise UsageError(f"--set {option[:80]!r}: {step} is a value, nothing stands below it")
    if isinstance(place, list):
        place[_index(place, last)] = value
    elif value is None:
        place.pop(last, None)
    else:
        place[last] = value


def _index(place: list[Any], step: str) -> int:
    """Where in a list: a number, or the name of the party that an entry is about."""
    for index, entry in enumerate(place):
        if isinstance(entry, dict) and step in (entry.get("name"), entry.get("provider")):
            return index
    if not step.isdecimal() or int(step) >= len(place):
        raise UsageError(f"--set: {step!r} is none of the {len(place)} entries there: give its party's name")
    return int(step)


def _plain(text: str) -> Any:
    from comity.agreement.text import plain_value

    try:
        return plain_value(text.strip())
    except ValueError:
        return text.strip()


def _leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(value, Mapping) and value:
        return [leaf for name, entry in value.items() for leaf in _leaves(entry, (*path, str(name)))]
    return [path] if path else []


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _as_text(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError("it must be text, and not empty")
    return value


def _as_number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is not a number") from None
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(f"{value!r} is not a number")
    return number


def _as_count(value: Any) -> int:
    number = _as_number(value)
    if number != int(number) or number < 0:
        raise ValueError(f"{value!r} is not a whole number")
    return int(number)


def _in_range(within: Range | None, read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        number = read(value)
        if within is not None and not within.holds(number):
            raise ValueError(f"{value!r} has to be {within.words()}")
        return number

    return checked


def _as_day(value: Any) -> str:
    try:
        day = date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is not a day written as YYYY-MM-DD") from None
    return day.isoformat()


def _as_flag(value: Any) -> bool:
    word = str(value).lower()
    if word not in _YES | _NO:
        raise ValueError(f"{value!r} is neither yes nor no")
    return word in _YES


def _one_of(choices: tuple[str, ...]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"{value!r} is none of {', '.join(choices)}")
        return str(value)

    return read
