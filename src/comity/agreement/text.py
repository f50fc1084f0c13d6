"""The YAML of an agreement, read strictly: what a steward sees is what is signed.

Plain YAML readers accept much that a signed text must not contain: a key twice (the last one wins), words
that one reader takes for text and another for `false` (`NO`), `010` as 8, references that unfold into
gigabytes. Here all of these are refused with their line. Read as YAML 1.2's core schema, with these rules:

* Keys are text, as written, and stand once.
* A plain scalar is null, true/false, a decimal number, or text. What versions 1.1 and 1.2 of YAML read
  differently (`yes`, `no`, `on`, `off`, `y`, `n`, `010`, `0x1f`, `1_000`, `12:30`) is refused: quote it if
  it is text. `.nan` and `.inf` are refused too.
* No anchors, aliases, tags, merge keys or second documents.
* At most 1 MB of UTF-8, 12 levels, 100,000 nodes; whole numbers up to 2^53 - 1.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import yaml

from comity.errors import BadAgreement

MAX_BYTES = 1_000_000
MAX_DEPTH = 12
MAX_NODES = 100_000
MAX_INTEGER = 2**53 - 1

Path = tuple[str | int, ...]

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_TWO_MEANINGS = frozenset({"yes", "no", "on", "off", "y", "n"})
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
# octal, hexadecimal, binary, digits in groups, base 60, infinity and not-a-number of either YAML version
_ODD_NUMBER = re.compile(
    r"[-+]?(0o?[0-7_]+|0[0-9_.]+|0x[0-9a-fA-F_]+|0b[01_]+|[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?"
    r"|\.[0-9_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|\.(inf|Inf|INF|nan|NaN|NAN))"
)
# characters that reorder or hide what a signatory reads (Boucher and Anderson 2021, "Trojan Source")
_HIDING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]")


@dataclass(frozen=True)
class Document:
    """A JSON value, and the line (from 1) on which each of its places begins."""

    value: Any
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int | None:
        """Line of the place, or of the nearest place around it that is known."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None


def shown(value: object) -> str:
    """A key or name from a file, fit for a message: no control characters, at most 80 characters."""
    text = str(value)
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= 80 else text[:77] + "..."


def path_text(path: Path) -> str:
    """`data.0.columns.age.min`, as messages and clauses write places."""
    return ".".join(shown(step) for step in path)


def unreadable(text: str) -> str | None:
    """Why a text may not stand in an agreement: it has characters that people cannot see. None if it may."""
    for character in text:
        point = ord(character)
        hidden = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") and character not in "\n\t"
        unassignable = point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF
        if hidden or unassignable or _HIDING.match(character):
            return f"holds the invisible character U+{point:04X}; take it out"
    return None


def read_document(text: str, *, where: str) -> Document:
    """Read YAML under this module's rules.

    Raises:
        BadAgreement: naming the line, for everything the rules refuse.
    """
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise BadAgreement(f"{where} is not text: it holds half a surrogate pair") from None
    if size > MAX_BYTES:
        raise BadAgreement(f"{where} has {size:,} bytes; an agreement has at most {MAX_BYTES:,}")
    try:
        return _Reader(text, where).document()
    except yaml.reader.ReaderError as error:
        raise BadAgreement(f"{where} holds a character that YAML forbids: U+{error.character:04X}") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadAgreement(f"{where}{line} is not YAML: {shown(error.problem)}") from None
    except yaml.YAMLError as error:
        raise BadAgreement(f"{where} is not YAML: {shown(error)}") from None


class _Reader:
    """One pass over the parser's events. The depth limit also bounds this class's recursion."""

    def __init__(self, text: str, where: str) -> None:
        self._where = where
        self._events = cast(
            Iterator[yaml.Event],
            yaml.parse(text, Loader=yaml.SafeLoader),  # pyright: ignore[reportUnknownMemberType]
        )
        self._lines: dict[Path, int] = {}
        self._nodes = 0

    def document(self) -> Document:
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise BadAgreement(f"{self._where} is empty")
        value = self._node(next(self._events), ())
        next(self._events)
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._fault(after, "a second document begins here; an agreement is one document")
        return Document(value, self._lines)

    def _fault(self, event: yaml.Event, what: str, path: Path = ()) -> BadAgreement:
        place = f"{path_text(path)}: " if path else ""
        return BadAgreement(f"{self._where}, line {_line(event)}: {place}{what}")

    def _node(self, event: yaml.Event, path: Path) -> Any:
        self._nodes += 1
        self._lines[path] = _line(event)
        if self._nodes > MAX_NODES:
            raise self._fault(event, f"more than {MAX_NODES:,} values", path)
        if len(path) > MAX_DEPTH:
            raise self._fault(event, f"nested deeper than {MAX_DEPTH} levels", path)
        self._plain(event, path)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _plain(self, event: yaml.Event, path: Path) -> None:
        """Refuse what makes a value mean something else than it looks like."""
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self._fault(
                event, "anchors (&) and references (*) are not allowed; write the value out", path
            )
        if getattr(event, "tag", None) is not None:
            raise self._fault(event, "tags (!) are not allowed", path)

    def _sequence(self, path: Path) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            values.append(self._node(event, (*path, len(values))))
        return values

    def _mapping(self, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            if key in values:
                first = self._lines[(*path, key)]
                raise self._fault(
                    event, f"the key '{shown(key)}' stands here again, first on line {first}", path
                )
            values[key] = self._node(next(self._events), (*path, key))
            self._lines[(*path, key)] = _line(event)
        return values

    def _key(self, event: yaml.Event, path: Path) -> str:
        self._plain(event, path)
        if not isinstance(event, yaml.ScalarEvent):
            raise self._fault(event, "a key must be text, not a list or a mapping", path)
        key = cast(str, event.value)
        if key == "" or (key == "<<" and not event.style):
            raise self._fault(
                event, "a key is empty" if key == "" else "merge keys (<<) are not allowed", path
            )
        return key

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> str | int | float | bool | None:
        text = cast(str, event.value)
        try:
            return text if event.style else plain_value(text)
        except ValueError as error:
            raise self._fault(event, str(error), path) from None


def _line(event: yaml.Event) -> int:
    return cast(int, event.start_mark.line) + 1


def plain_value(text: str) -> str | int | float | bool | None:
    """What an unquoted scalar stands for.

    Raises:
        ValueError: saying what to write instead, where readers disagree or the number has no canonical form.
    """
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if text.lower() in _TWO_MEANINGS:
        raise ValueError(f"{text} is yes or no to some readers: write '{text}' in quotes, or true or false")
    if _INTEGER.fullmatch(text):
        if len(text) > 20 or abs(int(text)) > MAX_INTEGER:
            raise ValueError(f"the whole number {shown(text)} is too large: at most 2^53 - 1")
        return int(text)
    if _NUMBER.fullmatch(text):
        return _finite(text)
    if _ODD_NUMBER.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a plain decimal number: write one, or quote it if it is text")
    return text


def _finite(text: str) -> float:
    value = float(text)
    zero = not any(digit in "123456789" for digit in text.lower().split("e")[0])
    if not math.isfinite(value) or (value == 0.0 and not zero):
        raise ValueError(f"the number {shown(text)} is outside the range of double precision")
    return value
