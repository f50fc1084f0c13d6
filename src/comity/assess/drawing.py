"""An assessment drawn for a terminal: plain words and short lines, at 80 columns or what there is.

Names of columns and other text of the table's are printed as they are, never as Rich markup, but for control
characters, which a terminal would obey: they become blanks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from comity.assess.hipaa import NOT_FOUND
from comity.assess.hipaa_rules import REMOVE
from comity.assess.separation import LARGEST_NEAR_KEY

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from comity.assess.report import Assessment
    from comity.assess.risk import Risk
    from comity.assess.separation import Separation

_NARROWEST, _WIDEST = 60, 110
_LONGEST_NAME = 24
_LEAST_WHY = 12
_MOST_KEYS = 3
_MOST_CONTRIBUTIONS = 12
_MODELS = {"pitman": "Pitman", "zayatz": "Zayatz", "snb": "the slide negative binomial model"}


@dataclass(frozen=True)
class Drawing:
    """A Rich renderable that fits itself to the console's width."""

    assessment: Assessment

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        width = min(max(options.max_width, _NARROWEST), _WIDEST)
        for line in draw(self.assessment, width):
            heading = bool(line) and not line.startswith(" ") and not line[0].isdigit()
            yield Text(line, style="bold" if heading else "", no_wrap=True, overflow="ellipsis")


def draw(assessment: Assessment, width: int = 80) -> tuple[str, ...]:
    """The lines to print, none wider than `width`."""
    parts = (
        _head(assessment, width),
        _columns(assessment, width),
        _risk(assessment, width),
        _contributions(assessment, width),
        _sets(assessment, width),
        _safe_harbor(assessment, width),
        _advice(assessment, width),
    )
    lines: list[str] = []
    for part in parts:
        found = list(part)
        if found:
            lines += [*found, ""]
    return tuple(lines[:-1])


def _head(assessment: Assessment, width: int) -> Iterator[str]:
    yield from _wrapped(assessment.source, width, indent=0)
    yield from _wrapped(
        f"{assessment.rows:,} rows, {len(assessment.columns)} columns. {assessment.missing_cells:.1%} of the "
        f"cells have no value, {assessment.complete_rows:.1%} of the rows are complete, "
        f"{assessment.duplicate_rows:,} repeat an earlier row.",
        width,
    )


def _columns(assessment: Assessment, width: int) -> Iterator[str]:
    """One line per column; a narrow terminal goes without the reasons."""
    longest = max(len(column.name) for column in assessment.columns)
    name = min(max(longest + 1, 7), _LONGEST_NAME, width - 42)
    why = width - name - 42
    reasons = why >= _LEAST_WHY
    yield f"{'Column':<{name}} {'type':<8} {'role':<17} {'gaps':>5} {'values':>6}{'  why' if reasons else ''}"
    for column in assessment.columns:
        role = f"{column.role}{'?' if column.guess else ''}"
        gaps = f"{column.missing:.1%}" if 0 < column.missing < 0.9995 else f"{column.missing:.0%}"
        reason = "see below" if column.warning else column.why
        line = (
            f" {_cut(column.name, name - 1):<{name - 1}} {column.type:<8} {role:<17} "
            f"{'-' if column.missing == 0 else gaps:>5} {_short(column.distinct):>6}"
        )
        yield f"{line}  {_cut(reason, why)}".rstrip() if reasons else line
    if any(column.guess for column in assessment.columns):
        yield "  ? a guess on the safe side: confirm or correct it"


def _risk(assessment: Assessment, width: int) -> Iterator[str]:
    risk = assessment.risk
    yield "How easily a person's row is found"
    if risk is None:
        yield from _wrapped(
            "No column is a quasi-identifier, so nothing is taken as known to others. Name what others may "
            "know with --quasi-identifiers.",
            width,
        )
        return
    yield from _wrapped(f"By somebody who knows: {', '.join(assessment.quasi_identifiers)}.", width)
    unique = round(risk.sample_uniques * risk.records)
    fewest = int(1 / risk.threshold + 1e-9)
    sentences = (
        f"{risk.sample_uniques:.1%} of the rows ({unique:,} of {risk.records:,}) are the only one with their "
        "values: they are found for certain."
        if unique
        else f"No row is unique: each looks like at least {risk.smallest_class - 1:,} others.",
        f"{risk.at_risk:.1%} look like fewer than {fewest - 1} others (a risk above {risk.threshold:.0%}).",
        f"The mean risk is {risk.prosecutor_mean:.1%}, the highest {risk.prosecutor_max:.1%}, the lowest "
        f"{risk.prosecutor_min:.1%}.",
        *_population(risk),
        *_sparse(assessment),
    )
    if risk.suppressed:
        yield from _wrapped(f"{risk.suppressed:,} suppressed rows (only *) are left out.", width)
    for sentence in sentences:
        yield from _wrapped(sentence, width)


def _population(risk: Risk) -> Iterator[str]:
    if risk.population is None:
        return
    chosen = risk.population_uniques.get("dankar")
    if chosen is not None:
        yield (
            f"Of the {risk.population:,} people that the rows stand for, about {_percent(chosen)} are unique "
            f"({_MODELS[risk.population_model]}'s estimate, chosen by Dankar's rule)."
        )
    told = []
    for model, share in risk.population_uniques.items():
        if model not in ("dankar", risk.population_model):
            told.append(
                f"{_MODELS[model]} {'none: ' + risk.notes[model] if share is None else _percent(share)}"
            )
    yield f"Other estimates: {'; '.join(told)}."
    if risk.journalist_estimated_mean is not None and risk.journalist_estimated_max is not None:
        yield (
            "To somebody who does not know who is in the table, the mean risk is about "
            f"{_percent(risk.journalist_estimated_mean)}, the highest "
            f"{_percent(risk.journalist_estimated_max)}."
        )


def _sparse(assessment: Assessment) -> Iterator[str]:
    sparsity = assessment.sparsity
    if sparsity is not None:
        yield (
            f"{sparsity.occupied:,} of {sparsity.cells:,} possible combinations of these values occur, with "
            f"{sparsity.rows_per_cell:.1f} rows each."
        )


def _contributions(assessment: Assessment, width: int) -> Iterator[str]:
    if len(assessment.contributions) < 2:
        return
    name = min(max(len(each.column) + 2 for each in assessment.contributions), _LONGEST_NAME)
    name = max(name, len("What each adds") + 2)
    apart = width >= name + 48
    head = f"{'What each adds':<{name}} {'unique rows':>12} {'mean risk':>10}"
    yield f"{head} {'pairs told apart alone':>23}" if apart else head
    for each in assessment.contributions[:_MOST_CONTRIBUTIONS]:
        line = (
            f"  {_cut(each.column, name - 2):<{name - 2}} {_points(each.uniques_added):>12} "
            f"{_points(each.mean_risk_added):>10}"
        )
        yield f"{line} {each.separation_alone:>23.1%}" if apart else line
    rest = len(assessment.contributions) - _MOST_CONTRIBUTIONS
    if rest > 0:
        yield f"  and {rest} more, which add less"


def _sets(assessment: Assessment, width: int) -> Iterator[str]:
    sets = assessment.separation
    if sets is None or len(assessment.quasi_identifiers) < 2:
        return
    yield "Sets of columns that find rows"
    for size in (2, 3):
        best = next((each for each in sets.sets if len(each.columns) == size), None)
        if best is not None:
            yield from _wrapped(
                f"Of {size} columns, {' + '.join(best.columns)} find most: {best.classes:,} combinations, "
                f"{best.uniques:.1%} of the rows unique.",
                width,
            )
    if sets.near_keys:
        for key in sets.near_keys[:_MOST_KEYS]:
            yield from _wrapped(
                f"Nearly a key ({key.distinction:.1%} distinct): {' + '.join(key.columns)}.", width
            )
        more = len(sets.near_keys) - _MOST_KEYS
        if more > 0:
            yield f"  And {more} more."
    elif sets.complete:
        yield from _wrapped(
            f"{_no_key(assessment, sets)} nearly a key ({sets.threshold:.0%} distinct).", width
        )
    if sets.note:
        yield from _wrapped(f"Not all: {sets.note}.", width)


def _no_key(assessment: Assessment, sets: Separation) -> str:
    if assessment.risk is not None and assessment.risk.prosecutor_mean < sets.threshold:
        return "Even all of them together are not"
    return f"No set of up to {LARGEST_NEAR_KEY} of them is"


def _safe_harbor(assessment: Assessment, width: int) -> Iterator[str]:
    yield "HIPAA Safe Harbor, 45 CFR 164.514(b)(2)"
    absent, texts = [], []
    for element in assessment.safe_harbor:
        if element.status == NOT_FOUND:
            absent.append(element.letter)
        elif element.free_text_only:
            texts.append(element)
        else:
            rule = "" if element.rule == REMOVE else f"; {element.rule}"
            shown = f"{element.name} ({', '.join(element.columns)}){rule}"
            yield from _wrapped(f"{element.letter} {element.status}: {shown}.", width, hanging=2)
    if texts:
        letters = ", ".join(element.letter for element in texts)
        yield from _wrapped(
            f"{letters} need a human: free text may hold them ({', '.join(texts[0].columns)}).", width
        )
    others = "any" if len(absent) == len(assessment.safe_harbor) else f"the other {len(absent)}"
    if absent:
        yield f"  No sign of {others} of its {len(assessment.safe_harbor)} identifiers."


def _advice(assessment: Assessment, width: int) -> Iterator[str]:
    if not assessment.advice:
        return
    yield "What to do next"
    for number, line in enumerate(assessment.advice, 1):
        yield from _wrapped(f"{number}. {line.removesuffix('.')}.", width, hanging=len(str(number)) + 2)


def _wrapped(text: str, width: int, *, indent: int = 2, hanging: int = 0) -> Sequence[str]:
    pad = " " * indent
    return wrap(
        _harmless(text),
        width,
        initial_indent=pad,
        subsequent_indent=pad + " " * hanging,
        break_on_hyphens=False,
    )


def _cut(text: str, width: int) -> str:
    """Text on one line of at most `width` characters."""
    line = " ".join(_harmless(text).split())
    return line if len(line) <= width else line[: max(width - 1, 0)] + "…"


def _harmless(text: str) -> str:
    """Text without control characters: a terminal would obey those in a column's name."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else " " for sign in text)


def _short(count: int) -> str:
    """A count in at most six characters."""
    if count < 100_000:
        return f"{count:,}"
    return f"{count / 1e6:.1f}M" if count >= 999_500 else f"{count / 1e3:.0f}k"


def _percent(share: float) -> str:
    """A share with enough places that a small one is not 0."""
    digits = 1 if share >= 0.01 or share == 0 else 3 if share >= 1e-5 else 6
    return f"{share:.{digits}%}"


def _points(share: float) -> str:
    """Percentage points added."""
    return f"+{100 * share:.1f} pt"
