"""The JSON of `comity compare`, read into frozen values that tables and pages are drawn from.

Reading is tolerant, because a report must come out whatever was measured: a missing key, a `null`, a NaN or
a value of another type becomes None, which is shown as "no figure" and never as 0. Text is taken as hostile
(column and provider names are the users'): control and bidirectional formatting characters are removed and
length is capped here; escaping is the business of whoever prints it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from comity.errors import BadInput
from comity.report import numbers

BASELINES = ("alone", "alone-provider", "pooled")
MAX_TEXT = 600
MAX_NAME = 100
_COLUMN_WORDS: tuple[str, ...] = ("column", "type", "role", "range", "evidence")

# control, formatting (bidirectional overrides among them), lone surrogates, private use, unassigned
_UNPRINTED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_JOINERS = "\u200c\u200d"  # zero-width, but part of how Persian and Indic words are written


def clean_text(value: object, limit: int = MAX_TEXT) -> str:
    """One line of printable text, at most `limit` characters; longer text ends in an ellipsis."""
    text = value if isinstance(value, str) else str(value)
    text = " ".join(text[: 4 * limit].split())
    kept = "".join(c for c in text if unicodedata.category(c) not in _UNPRINTED or c in _JOINERS)
    return kept if len(kept) <= limit else kept[: limit - 1].rstrip() + "…"


def _text(value: object, limit: int = MAX_TEXT) -> str | None:
    return clean_text(value, limit) or None if isinstance(value, str) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # no time, size or count is that large; NaN fails the comparison
    return float(value) if abs(value) < 1e18 else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _texts(value: object) -> tuple[str, ...]:
    items = (value,) if isinstance(value, str) else _items(value)
    return tuple(text for item in items if (text := _text(item)))


@dataclass(frozen=True)
class Attack:
    """An adversary's advantage over guessing, its interval, and the guarantee's bound on it, if any.

    `control` is the same adversary's advantage where nothing can leak; `trials` is its number of guesses.
    """

    name: str
    advantage: float | None
    low: float | None
    high: float | None
    bound: float | None
    control: float | None
    trials: float | None

    @property
    def breaks_bound(self) -> bool:
        """Whether even the interval's lower end lies above the bound: the guarantee does not hold."""
        return self.low is not None and self.bound is not None and self.low > self.bound


@dataclass(frozen=True)
class Privacy:
    """What is promised; see docs/privacy.md for what each unit and relation says."""

    epsilon: float | None
    delta: float | None
    unit: str | None
    relation: str | None
    k: int | None
    prior_knowledge: tuple[str, ...]
    note: str | None
    short: str | None = None


@dataclass(frozen=True)
class Cost:
    """Of all parties' processes together. Seconds, bytes, MB."""

    wall_s: float | None
    startup_s: float | None
    cpu_s: float | None
    bytes_sent: float | None
    peak_rss_mb: float | None
    messages: float | None


@dataclass(frozen=True)
class Result:
    """One architecture's figures. Where `error` is set the run failed and there may be no figures."""

    architecture: str
    mode: str | None
    auc: float | None
    accuracy: float | None
    gap_closed: float | None
    rows_used: float | None
    privacy: Privacy
    attacks: tuple[Attack, ...]
    cost: Cost
    summary: str | None
    model: str | None
    in_words: tuple[str | None, str | None, str | None]
    trust: tuple[tuple[str, str], ...]
    seen_by: tuple[tuple[str, tuple[str, ...]], ...]
    error: str | None
    figures: tuple[tuple[str, str], ...] = ()

    @property
    def is_baseline(self) -> bool:
        return self.architecture in BASELINES

    @property
    def is_private(self) -> bool:
        """Whether its guarantee is differential privacy."""
        return self.privacy.epsilon is not None

    @property
    def label(self) -> str:
        """The name shown: the architecture, and its mode where it has one."""
        return f"{self.architecture} ({self.mode})" if self.mode else self.architecture

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        utility, privacy, cost = (_mapping(entry.get(key)) for key in ("utility", "privacy", "cost"))
        k = _number(privacy.get("k"))
        return cls(
            architecture=_text(entry.get("architecture"), MAX_NAME) or "unnamed",
            mode=_text(entry.get("mode"), MAX_NAME),
            auc=_number(utility.get("auc")),
            accuracy=_number(utility.get("accuracy")),
            gap_closed=_number(utility.get("gap_closed")),
            rows_used=_number(utility.get("rows_used")),
            privacy=Privacy(
                epsilon=_number(privacy.get("epsilon")),
                delta=_number(privacy.get("delta")),
                unit=_text(privacy.get("unit")),
                relation=_text(privacy.get("relation")),
                k=None if k is None else int(k),
                prior_knowledge=_texts(privacy.get("prior_knowledge")),
                note=_text(privacy.get("note")),
                short=_text(privacy.get("short"), MAX_NAME),
            ),
            attacks=tuple(_attacks(privacy.get("attacks"))),
            cost=Cost(
                **{
                    key: _number(cost.get(key))
                    for key in ("wall_s", "startup_s", "cpu_s", "bytes_sent", "peak_rss_mb", "messages")
                }
            ),
            summary=_text(entry.get("summary")),
            model=_text(utility.get("model"), MAX_NAME),
            in_words=_in_words(entry.get("in_words")),
            trust=tuple(_trust(entry.get("trust"))),
            seen_by=tuple(
                (clean_text(who, MAX_NAME), _texts(what))
                for who, what in _mapping(entry.get("seen_by")).items()
            ),
            error=_error(entry.get("error")),
            figures=tuple(_told(entry.get("figures"))),
        )


def _attacks(value: object) -> Iterator[Attack]:
    for name, figures in _mapping(value).items():
        figures = _mapping(figures)
        keys = ("advantage", "low", "high", "bound", "control", "trials")
        yield Attack(clean_text(name, MAX_NAME), *(_number(figures.get(key)) for key in keys))


def _trust(value: object) -> Iterator[tuple[str, str]]:
    for entry in _items(value):
        entry = _mapping(entry)
        if assumption := _text(entry.get("assumption")):
            yield _text(entry.get("party"), MAX_NAME) or "every party", assumption


_COUNTED_ELSEWHERE = {"rows_used", "own_rows", "sandbox", "engine_bytes", "candidate"}


def _told(value: object) -> Iterator[tuple[str, str]]:
    """What the programs say of their run, as `party: name` and text; lists and deeper things are left out."""
    for party, figures in _mapping(value).items():
        for name, figure in _mapping(figures).items():
            inner = _mapping(figure) or {"": figure}
            for part, number in inner.items():
                shown = _shown(number) if not isinstance(number, (list, Mapping)) else None
                if name not in _COUNTED_ELSEWHERE and shown is not None:
                    words = " ".join(str(word).replace("_", " ") for word in (name, part) if word)
                    yield f"{clean_text(party, MAX_NAME)}: {clean_text(words, MAX_NAME)}", shown


def _in_words(value: object) -> tuple[str | None, str | None, str | None]:
    """What it protects, from whom, and at what price, as the architecture says it."""
    words = _mapping(value)
    return _text(words.get("protects")), _text(words.get("against")), _text(words.get("price"))


def _error(value: object) -> str | None:
    if isinstance(value, Mapping):
        value = value.get("message") or value.get("code") or "failed without a message"
    return None if value is None or value is False else clean_text(value) or "failed without a message"


@dataclass(frozen=True)
class Skipped:
    """An architecture that did not run, and why."""

    architecture: str
    reason: str
    in_words: tuple[str | None, str | None, str | None] = (None, None, None)


@dataclass(frozen=True)
class Provider:
    """A provider's name and, where known, its number of rows."""

    name: str
    rows: int | None


@dataclass(frozen=True)
class Report:
    """A whole comparison: its results in the order they were measured, what was skipped, and its inputs.

    `by_columns`: the providers hold different columns of the same records.
    """

    results: tuple[Result, ...]
    skipped: tuple[Skipped, ...]
    providers: tuple[Provider, ...]
    inputs: tuple[tuple[str, str], ...]
    target: str | None
    positive: str | None
    test_rows: int | None
    keep: str | None
    references: tuple[tuple[str, float], ...]
    columns: tuple[tuple[tuple[str, str], ...], ...]
    notes: tuple[str, ...]
    by_columns: bool = False

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Read what `compare --json` writes, or the one object that `try --json` writes.

        Raises:
            BadInput: if it is neither.
        """
        entries = document.get("results", [document] if "architecture" in document else None)
        if not isinstance(entries, list | tuple):
            raise BadInput("this is not a result of comity compare or comity try: it has no 'results'")
        inputs = _mapping(document.get("inputs"))
        test_rows = _number(inputs.get("test_rows"))
        return cls(
            results=tuple(Result.read(entry) for entry in entries if isinstance(entry, Mapping)),
            skipped=tuple(_skipped(document.get("skipped"))),
            providers=tuple(_providers(inputs.get("providers"))),
            inputs=tuple(_facts(inputs)),
            target=_text(inputs.get("target"), MAX_NAME),
            positive=None
            if (positive := _shown(inputs.get("positive"))) is None
            else clean_text(positive, MAX_NAME),
            test_rows=None if test_rows is None else int(test_rows),
            keep=_text(document.get("keep")),
            references=tuple(_references(document.get("references"))),
            columns=tuple(_columns(inputs.get("schema"))),
            notes=_texts(inputs.get("notes")),
            by_columns=inputs.get("partition") == "columns",
        )

    @property
    def done(self) -> tuple[Result, ...]:
        """Results that did not fail."""
        return tuple(result for result in self.results if result.error is None)

    @property
    def failed(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.error is not None)

    @property
    def collaborations(self) -> tuple[Result, ...]:
        """Results that are not baselines and did not fail."""
        return tuple(result for result in self.done if not result.is_baseline)

    @property
    def epsilons(self) -> tuple[float, ...]:
        """The distinct epsilons that were run, ascending."""
        return tuple(sorted({r.privacy.epsilon for r in self.done if r.privacy.epsilon is not None}))

    @property
    def reference_aucs(self) -> dict[str, float]:
        """AUC of `alone` and `pooled`, the ends of the gap, where they have one."""
        measured = {r.architecture: r.auc for r in self.done if r.auc is not None}
        known = {**dict(self.references), **measured}
        return {name: known[name] for name in ("alone", "pooled") if name in known}


def _references(value: object) -> Iterator[tuple[str, float]]:
    for name, figures in _mapping(value).items():
        if (auc := _number(_mapping(figures).get("auc"))) is not None:
            yield clean_text(name, MAX_NAME), auc


def _columns(value: object) -> Iterator[tuple[tuple[str, str], ...]]:
    """Rows of words about the inferred schema, each with the same keys."""
    rows = [
        dict(zip(_COLUMN_WORDS, entry, strict=False)) if isinstance(entry, list | tuple) else _mapping(entry)
        for entry in _items(value)
    ]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    for row in rows:
        yield tuple((clean_text(key, MAX_NAME), _shown(row.get(key)) or numbers.NO_FIGURE) for key in keys)


def _skipped(value: object) -> Iterator[Skipped]:
    for entry in _items(value):
        entry = _mapping(entry)
        if name := _text(entry.get("architecture"), MAX_NAME):
            reason = _text(entry.get("reason")) or "no reason given"
            yield Skipped(name, reason, _in_words(entry.get("in_words")))


def _providers(value: object) -> Iterator[Provider]:
    for entry in _items(value):
        rows = _number(_mapping(entry).get("rows"))
        name = _text(_mapping(entry).get("name"), MAX_NAME) or _text(entry, MAX_NAME)
        if name:
            yield Provider(name, None if rows is None else int(rows))


def _shown(value: object) -> str | None:
    """A scalar or a list of scalars as text; None for anything nested or empty."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return (
            None
            if _number(value) is None
            else numbers.count(value)
            if isinstance(value, int)
            else numbers.plain(value)
        )
    if isinstance(value, list | tuple):
        parts = [_shown(item) for item in value]
        return ", ".join(part for part in parts if part) or None
    return _text(value)


def _facts(inputs: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every scalar among the inputs, named; nested mappings are flattened one level."""
    for key, value in inputs.items():
        name = clean_text(f"{prefix}{key}", 80).replace("_", " ")
        if isinstance(value, Mapping) and not prefix:
            yield from _facts(value, prefix=f"{key}: ")
        elif (
            key not in ("providers", "schema", "notes", "partition") and (shown := _shown(value)) is not None
        ):
            # a seed, a port or a year is a name made of digits: no thousands separator
            yield name, shown.replace(",", "") if key == "seed" else shown
