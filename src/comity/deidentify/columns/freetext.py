"""Free text: what names a person on its face is masked. That does not make a text anonymous.

Patterns find e-mail addresses, phone and account numbers and the like nearly always, names that the steward
knows wherever they are spelled as given, and other names only after a salutation or where word lists have
the given name. They do not find a nickname, a job, an event or a manner of writing that says who it is. So
masking lowers how much a text gives away at a glance. Whoever releases free text should have people read a
sample of it, and should release a few coded categories instead if those serve as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

from comity.data.pii.spans import REGIONS, SHAPES, Detector, Span, detectors, readable, told_apart
from comity.deidentify.columns.names import (
    KnownNames,
    after_initials,
    after_salutations,
    listed_names,
    listed_pairs,
)
from comity.deidentify.columns.streets import street_addresses
from comity.errors import BadTable, MissingExtra, UsageError

if TYPE_CHECKING:
    from comity.data import Table

KINDS: Final = (*(kind for kind in SHAPES if kind != "date"), "address", "name")
"""What is masked by default; "date" masks every full date besides, not only dates of birth."""

NOTE: Final = (
    "Masked by patterns and known names. Free text cannot be made anonymous that way: nicknames, misspelt "
    "names, roles and events may still say who somebody is. Have people read a sample before it leaves."
)


@dataclass(frozen=True)
class FreeText:
    """How a column of free text is masked.

    Attributes:
        names_from: columns whose value in the same row is masked wherever the text holds it: the table's own
            names, customer numbers, addresses. It is what finds most.
        names: names of people that are masked in every row, where they are written with a capital.
        kinds: of `KINDS` and "date".
        regions: countries whose phone numbers are recognised without a country code.
        others: more detectors, such as `presidio()`.
    """

    column: str
    names_from: Sequence[str] = ()
    names: Collection[str] = ()
    kinds: Sequence[str] = KINDS
    regions: Sequence[str] = REGIONS
    others: Sequence[Detector] = ()

    def __post_init__(self) -> None:
        odd = [kind for kind in self.kinds if kind not in SHAPES and kind not in KINDS]
        if odd or isinstance(self.names, str):
            known = ", ".join((*SHAPES, "address", "name"))
            raise UsageError(
                f"free text in '{self.column}' is masked by kinds ({known}) and a list of names; "
                f"{odd[0] if odd else 'a single string'!r} is neither"
            )


@dataclass(frozen=True)
class Masked:
    """A table with masked texts.

    Attributes:
        counts: how many places were masked, by kind; private to the steward.
        rows: how many texts were changed; private.
        note: what masking does not do, in words; belongs beside the release.
    """

    table: Table
    column: str
    counts: Mapping[str, int]
    rows: int
    note: str = NOTE


def mask_free_text(table: Table, rule: FreeText) -> Masked:
    """Replace what names a person by its kind in brackets: "[email]", "[name]", "[phone]".

    Texts are written in one form first (Unicode NFKC, no invisible characters), so look-alikes are found.

    Raises:
        BadTable: if a column is not there, or is not text.
    """
    import pyarrow as pa

    if table.type(rule.column).is_numeric:
        raise BadTable(f"'{rule.column}' is a column of numbers, not of free text; drop it or generalise it")
    listed = KnownNames(rule.names, capitalised=True)
    found = _finders(rule, listed)
    own = [table.strings(name) for name in rule.names_from]
    counts: Counter[str] = Counter()
    texts: list[str | None] = []
    changed = 0
    known: dict[str, tuple[Span, ...]] = {}
    for row, text in enumerate(table.strings(rule.column)):
        if text is None:
            texts.append(None)
            continue
        plain = readable(text)
        if plain not in known:
            known[plain] = tuple(span for detector in found for span in detector(plain))
        spans = known[plain]
        if own:
            of_row = KnownNames(value for column in own if (value := column[row]) is not None)
            spans = (*spans, *of_row.find(plain))
        masked, kinds = replaced(plain, spans)
        counts.update(kinds)
        changed += bool(kinds)
        texts.append(masked)
    column = pa.chunked_array([pa.array(texts, pa.string())])
    return Masked(table.with_column(rule.column, column), rule.column, dict(sorted(counts.items())), changed)


def replaced(text: str, spans: Iterable[Span]) -> tuple[str, list[str]]:
    """A text with every span replaced by its kind in brackets, and the kinds in order (see `told_apart`)."""
    pieces: list[str] = []
    kinds: list[str] = []
    at = 0
    for span in told_apart(text, spans):
        pieces += [text[at : span.start], f"[{span.kind}]"]
        kinds.append(span.kind)
        at = span.end
    return "".join([*pieces, text[at:]]), kinds


def presidio(language: str = "en", *, threshold: float = 0.5) -> Detector:
    """A detector made of Microsoft Presidio, whose models find names without salutations.

    It needs the optional part `presidio` and, installed beforehand, the language model that it uses.

    Raises:
        MissingExtra: if it is not installed.
    """
    try:
        engine = import_module("presidio_analyzer").AnalyzerEngine()
    except ImportError:
        raise MissingExtra("finding names in free text by a language model", "presidio") from None
    kinds = {"PERSON": "name", "EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "LOCATION": "place"}

    def find(text: str) -> Iterable[Span]:
        for result in engine.analyze(text=text, language=language, score_threshold=threshold):
            named = str(result.entity_type)
            kind = kinds.get(named, named.lower().replace("_", " "))
            yield Span(int(result.start), int(result.end), kind)

    return find


def _finders(rule: FreeText, listed: KnownNames) -> list[Detector]:
    found = [*detectors(tuple(rule.kinds), tuple(rule.regions)), *rule.others]
    if "address" in rule.kinds:
        found.append(street_addresses)
    if "name" in rule.kinds:
        found += [after_salutations, listed_names, listed_pairs, after_initials]
    if listed:
        found.append(listed.find)
    return found
