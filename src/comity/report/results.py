"""The JSON of `comity compare`, read into frozen values that tables and pages are drawn from.

Reading is tolerant (`reading`), because a report must come out whatever was measured: a missing key, a
`null`, a NaN or a value of another type becomes None, which is shown as "no figure" and never as 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from comity.errors import BadInput
from comity.report import numbers
from comity.report.figures import Told, read_figures
from comity.report.reading import (
    MAX_NAME,
    clean_text,
    items_of,
    mapping_of,
    number_of,
    shown,
    text_of,
    texts_of,
)

BASELINES = ("alone", "alone-provider", "pooled")
_COLUMN_WORDS: tuple[str, ...] = ("column", "type", "role", "range", "evidence")


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
    """One architecture's figures. Where `error` is set the run failed and there may be no figures.

    `cost_note`: what the cost holds that a run of one's own would not. `left_out`: columns that what it
    releases does not have, with the reason. `attacks_note`: why no attack was run. `gap_closed`: where data
    is split by columns, from what the target's holder learns from its own columns.
    """

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
    figures: tuple[Told, ...] = ()
    cost_note: str | None = None
    left_out: tuple[tuple[str, str], ...] = ()
    attacks_note: str | None = None

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
        utility, privacy, cost = (mapping_of(entry.get(key)) for key in ("utility", "privacy", "cost"))
        k = number_of(privacy.get("k"))
        return cls(
            architecture=text_of(entry.get("architecture"), MAX_NAME) or "unnamed",
            mode=text_of(entry.get("mode"), MAX_NAME),
            auc=number_of(utility.get("auc")),
            accuracy=number_of(utility.get("accuracy")),
            gap_closed=number_of(
                utility.get("gap_closed_own" if "gap_closed_own" in utility else "gap_closed")
            ),
            rows_used=number_of(utility.get("rows_used")),
            privacy=Privacy(
                epsilon=number_of(privacy.get("epsilon")),
                delta=number_of(privacy.get("delta")),
                unit=text_of(privacy.get("unit")),
                relation=text_of(privacy.get("relation")),
                k=None if k is None else int(k),
                prior_knowledge=texts_of(privacy.get("prior_knowledge")),
                note=text_of(privacy.get("note")),
                short=text_of(privacy.get("short"), MAX_NAME),
            ),
            attacks=tuple(_attacks(privacy.get("attacks"))),
            cost=Cost(
                **{
                    key: number_of(cost.get(key))
                    for key in ("wall_s", "startup_s", "cpu_s", "bytes_sent", "peak_rss_mb", "messages")
                }
            ),
            summary=text_of(entry.get("summary")),
            model=text_of(utility.get("model"), MAX_NAME),
            in_words=_in_words(entry.get("in_words")),
            trust=tuple(_trust(entry.get("trust"))),
            seen_by=tuple(
                (clean_text(who, MAX_NAME), texts_of(what))
                for who, what in mapping_of(entry.get("seen_by")).items()
            ),
            error=_error(entry.get("error")),
            figures=tuple(read_figures(entry.get("figures"))),
            cost_note=text_of(entry.get("cost_note")),
            left_out=tuple(_left_out(entry.get("left_out"))),
            attacks_note=text_of(privacy.get("attacks_note")),
        )


def _attacks(value: object) -> Iterator[Attack]:
    for name, figures in mapping_of(value).items():
        figures = mapping_of(figures)
        keys = ("advantage", "low", "high", "bound", "control", "trials")
        yield Attack(clean_text(name, MAX_NAME), *(number_of(figures.get(key)) for key in keys))


def _trust(value: object) -> Iterator[tuple[str, str]]:
    for entry in items_of(value):
        entry = mapping_of(entry)
        if assumption := text_of(entry.get("assumption")):
            yield text_of(entry.get("party"), MAX_NAME) or "every party", assumption


def _left_out(value: object) -> Iterator[tuple[str, str]]:
    """Columns that what was released does not have, and why."""
    for entry in items_of(value):
        if name := text_of(mapping_of(entry).get("column"), MAX_NAME):
            yield name, text_of(mapping_of(entry).get("why")) or "no reason given"


def _in_words(value: object) -> tuple[str | None, str | None, str | None]:
    """What it protects, from whom, and at what price, as the architecture says it."""
    words = mapping_of(value)
    return text_of(words.get("protects")), text_of(words.get("against")), text_of(words.get("price"))


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
    mode: str | None = None

    @property
    def label(self) -> str:
        """Its name, with a mode that stands beside the default one."""
        return f"{self.architecture} ({self.mode})" if self.mode else self.architecture


@dataclass(frozen=True)
class Provider:
    """A provider's name and, where known, its number of rows."""

    name: str
    rows: int | None


@dataclass(frozen=True)
class Report:
    """A whole comparison: its results in the order they were measured, what was skipped, and its inputs.

    `by_columns`: the providers hold different columns of the same records. `known_to`: how far an AUC may be
    off either way on so few test rows; None where they are many.
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
    schema_given: bool = False
    known_to: float | None = None

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Read what `compare --json` writes, or the one object that `try --json` writes.

        Raises:
            BadInput: if it is neither.
        """
        entries = document.get("results", [document] if "architecture" in document else None)
        if not isinstance(entries, list | tuple):
            raise BadInput("this is not a result of comity compare or comity try: it has no 'results'")
        inputs = mapping_of(document.get("inputs"))
        test_rows = number_of(inputs.get("test_rows"))
        return cls(
            results=tuple(Result.read(entry) for entry in entries if isinstance(entry, Mapping)),
            skipped=tuple(_skipped(document.get("skipped"))),
            providers=tuple(_providers(inputs.get("providers"))),
            inputs=tuple(_facts(inputs)),
            target=text_of(inputs.get("target"), MAX_NAME),
            positive=None
            if (positive := shown(inputs.get("positive"))) is None
            else clean_text(positive, MAX_NAME),
            test_rows=None if test_rows is None else int(test_rows),
            keep=text_of(document.get("keep")),
            references=tuple(_references(document.get("references"))),
            columns=tuple(_columns(inputs.get("schema"))),
            schema_given=inputs.get("schema_given") is True,
            notes=texts_of(inputs.get("notes")),
            known_to=number_of(inputs.get("auc_known_to")),
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
        """AUC of the ends of the gap, where they have one: `alone` and `pooled`; split by columns, where seed
        rows have everybody's columns, `alone-provider` and `pooled`."""
        return {name: self._baselines[name] for name in self._ends if name in self._baselines}

    @property
    def start_auc(self) -> float | None:
        """AUC of where the gap starts."""
        return self.reference_aucs.get(self._ends[0])

    @property
    def joined_seeds_auc(self) -> float | None:
        """Split by columns: AUC of `alone`, on seed rows that have the columns of all providers already."""
        return self._baselines.get("alone") if self.by_columns else None

    @property
    def _ends(self) -> tuple[str, str]:
        return ("alone-provider" if self.by_columns else "alone", "pooled")

    @property
    def _baselines(self) -> dict[str, float]:
        measured = {r.architecture: r.auc for r in self.done if r.is_baseline and r.auc is not None}
        return {**dict(self.references), **measured}


def _references(value: object) -> Iterator[tuple[str, float]]:
    for name, figures in mapping_of(value).items():
        if (auc := number_of(mapping_of(figures).get("auc"))) is not None:
            yield clean_text(name, MAX_NAME), auc


def _columns(value: object) -> Iterator[tuple[tuple[str, str], ...]]:
    """Rows of words about the schema, each with the same keys."""
    rows = [
        dict(zip(_COLUMN_WORDS, entry, strict=False))
        if isinstance(entry, list | tuple)
        else mapping_of(entry)
        for entry in items_of(value)
    ]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    for row in rows:
        yield tuple((clean_text(key, MAX_NAME), shown(row.get(key)) or numbers.NO_FIGURE) for key in keys)


def _skipped(value: object) -> Iterator[Skipped]:
    for entry in items_of(value):
        entry = mapping_of(entry)
        if name := text_of(entry.get("architecture"), MAX_NAME):
            reason = text_of(entry.get("reason")) or "no reason given"
            yield Skipped(
                name, reason, _in_words(entry.get("in_words")), text_of(entry.get("mode"), MAX_NAME)
            )


def _providers(value: object) -> Iterator[Provider]:
    for entry in items_of(value):
        rows = number_of(mapping_of(entry).get("rows"))
        name = text_of(mapping_of(entry).get("name"), MAX_NAME) or text_of(entry, MAX_NAME)
        if name:
            yield Provider(name, None if rows is None else int(rows))


def _facts(inputs: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every scalar among the inputs, named; nested mappings are flattened one level."""
    for key, value in inputs.items():
        name = clean_text(f"{prefix}{key}", 80).replace("_", " ")
        if isinstance(value, Mapping) and not prefix:
            yield from _facts(value, prefix=f"{key}: ")
        elif (
            key not in ("providers", "schema", "schema_given", "notes", "partition", "auc_known_to")
            and (told := shown(value)) is not None
        ):
            # a seed, a port or a year is a name made of digits: no thousands separator
            yield name, told.replace(",", "") if key == "seed" else told
