"""The terminal's view of a comparison: one line per result where the terminal is wide enough, else one card.

User-supplied text is printed as plain text, never as Rich markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from comity.report import attack_words, numbers, words
from comity.report.results import Report, Result
from comity.report.summary import name_with_epsilon, opening, warnings

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

_WIDE = 112  # all columns
_MEDIUM = 80  # without CPU and messages
_BAR_CELLS = 8
_FEW_BAR_CELLS = 4  # where the table is narrow
_MOST_COLUMNS = 40
_WORDS = re.compile(r"\S+")
_PIECES = re.compile(r"[^-_]*[-_]+|[^-_]+")


def render_table(document: Mapping[str, Any]) -> ComparisonTable:
    """What `console.print` shows of a comparison's JSON (or of `try`'s one object).

    Raises:
        BadInput: if the document is neither.
    """
    return ComparisonTable(Report.read(document))


@dataclass(frozen=True)
class ComparisonTable:
    """A Rich renderable that fits itself to the console's width."""

    report: Report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        width = options.max_width
        yield from _schema(self.report, width)
        yield _heading(self.report)
        if self.report.done:
            if width >= _MEDIUM:
                yield _figures(self.report, width)
                yield from _baselines(self.report)
                yield from _deltas(self.report)
                yield from _attacks(self.report)
            else:
                yield _cards(self.report)
            yield from _asides(self.report)
            yield from _in_words(self.report)
            yield from _who_to_trust(self.report)
        yield from _not_run(self.report)
        yield Text(f"\n{words.PILOT} {words.PILOT_WHY}", style="italic")


def _schema(report: Report, width: int) -> Iterator[Table | Text]:
    """The inferred schema, for the steward to correct, and what was noticed while reading."""
    from rich.text import Text

    if report.columns and not report.schema_given:
        yield Text("\nInferred schema; what is wrong here is corrected with --schema", style="bold")
        table = _table()
        kept = [key for key, _ in report.columns[0]][: 5 if width >= _MEDIUM else 3]
        for key in kept:
            table.add_column(Text(key), overflow="fold", max_width=44)
        for row in report.columns[:_MOST_COLUMNS]:
            table.add_row(*(_Broken(value) for _, value in row[: len(kept)]))
        yield table
        if (more := len(report.columns) - _MOST_COLUMNS) > 0:
            yield Text(f"and {more} more columns", style="dim")
    for note in report.notes:
        yield Text(f"note: {note}", style="dim")


def _heading(report: Report) -> Text:
    from rich.text import Text

    parts = words.headline(report)
    return Text("\n" + " · ".join(parts), style="dim") if parts else Text("")


def _figures(report: Report, width: int) -> Table:
    wide = width >= _WIDE
    table = _table()
    table.add_column("architecture", no_wrap=False, min_width=16, overflow="fold")
    table.add_column("AUC", justify="right", no_wrap=True)
    table.add_column("gap closed", no_wrap=True)
    table.add_column("ε", justify="right", no_wrap=True)
    table.add_column("guarantee", overflow="fold")
    table.add_column("wall", justify="right", no_wrap=True)
    if wide:
        table.add_column("CPU", justify="right", no_wrap=True)
    table.add_column("sent", justify="right", no_wrap=True)
    if wide:
        table.add_column("messages", justify="right", no_wrap=True)
    for result in report.done:
        cells = [
            numbers.figure(result.auc),
            _gap(result, _BAR_CELLS if wide else _FEW_BAR_CELLS),
            numbers.plain(result.privacy.epsilon),
            words.guarantee_short(result),
            numbers.seconds(result.cost.wall_s),
            *([numbers.seconds(result.cost.cpu_s)] if wide else []),
            numbers.size(result.cost.bytes_sent),
            *([numbers.count(result.cost.messages)] if wide else []),
        ]
        first = _Broken(result.label, _style(result))
        table.add_row(first, *(_plain(cell) for cell in cells), style="dim" if result.is_baseline else None)
    return table


def _baselines(report: Report) -> Iterator[Text]:
    """The ends of the gap, where they are not among the lines above; split by columns, in any case what it
    is measured from."""
    from rich.text import Text

    ends = report.reference_aucs
    lines = {result.architecture for result in report.done}
    if report.by_columns:
        yield Text(opening(report), style="dim")
    elif {"alone", "pooled"} <= ends.keys() and not lines & {"alone", "pooled"}:
        yield Text(
            f"Without collaborating {numbers.figure(ends['alone'])} (alone: the seed rows only), "
            f"with all raw rows in one place {numbers.figure(ends['pooled'])} (pooled)",
            style="dim",
        )


class _Broken:
    """A cell whose long words break after hyphens and underscores, at the width that the column gets."""

    def __init__(self, text: str, style: str = "") -> None:
        self.text, self.style = text, style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        yield Text(_broken(self.text, options.max_width), style=self.style)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement
        from rich.text import Text

        whole = Measurement.get(console, options, Text(self.text))
        pieces = Measurement.get(console, options, Text(_broken(self.text, 1)))
        return Measurement(pieces.minimum, whole.maximum)


def _broken(text: str, width: int) -> str:
    """The text with line breaks after hyphens and underscores of words that are longer than a line."""

    def parted(word: re.Match[str]) -> str:
        lines = [""]
        for piece in _PIECES.findall(word.group()):
            if lines[-1] and len(lines[-1]) + len(piece) > width:
                lines.append("")
            lines[-1] += piece
        return "\n".join(lines)

    return _WORDS.sub(lambda word: parted(word) if len(word.group()) > width else word.group(), text)


def _table() -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)


def _plain(cell: str | Text) -> Text:
    from rich.text import Text

    return Text(cell) if isinstance(cell, str) else cell


def _name(result: Result) -> Text:
    from rich.text import Text

    return Text(result.label, style=_style(result))


def _style(result: Result) -> str:
    return "" if result.is_baseline else "bold cyan" if result.is_private else "bold yellow"


def _gap(result: Result, cells: int = _BAR_CELLS) -> Text:
    """A small bar and the share; the bar stops at its ends, the figure does not."""
    from rich.text import Text

    if result.gap_closed is None:
        return Text(numbers.NO_FIGURE)
    filled = round(max(0.0, min(1.0, result.gap_closed)) * cells)
    bar = Text("━" * filled, style="" if result.is_baseline else "green")
    bar.append("─" * (cells - filled), style="dim")
    bar.append(f" {numbers.percent(result.gap_closed)}", style="default")
    return bar


def _deltas(report: Report) -> Iterator[Text]:
    from rich.text import Text

    deltas = sorted({r.privacy.delta for r in report.done if r.is_private and r.privacy.delta is not None})
    if deltas:
        listed = " or ".join(numbers.plain(delta) for delta in deltas)
        yield Text(f"DP: differential privacy with this ε, and δ = {listed}", style="dim")


def _attacks(report: Report) -> Iterator[Table | Text]:
    from rich.text import Text

    if not any(result.attacks for result in report.done):
        return
    yield Text("\nAttacks: advantage over guessing, 0 learns nothing, 1 is certain", style="bold")
    table = _table()
    # least widths that 80 columns hold beside the longest figures: what does not fit would be cut off
    table.add_column("architecture", min_width=14, overflow="fold")
    table.add_column("attack", max_width=12, overflow="fold")
    table.add_column(Text("advantage [interval]"), no_wrap=True)
    table.add_column("bound", justify="right", no_wrap=True)
    table.add_column("in plain words", min_width=13, overflow="fold")
    for result in report.done:
        for attack in result.attacks:
            table.add_row(
                _Broken(name_with_epsilon(result, report)),
                _Broken(attack.name),
                Text(words.interval(attack)),
                Text(numbers.figure(attack.bound, 2)),
                Text(attack_words.in_short(attack)),
                style="bold red" if attack.breaks_bound else "dim" if result.is_baseline else None,
            )
    yield table
    named = {attack.name: attack for result in report.done for attack in result.attacks}
    for attack in named.values():
        if said := attack_words.tried(attack):
            yield Text(f"{attack.name}: {said} {attack_words.chance(attack)}", style="dim")
    yield Text(words.ATTACKS_ARE_LOWER_BOUNDS, style="dim")


def _asides(report: Report) -> Iterator[Text]:
    """What a reader of a row has to know besides: columns it loses, cost that is the pilot's own."""
    from rich.text import Text

    lost = {result.label: words.left_out(result) for result in report.done if result.left_out}
    for label, columns in lost.items():
        yield Text.assemble((f"{label} leaves out", "bold"), f": {columns}")
    for label, note in words.cost_notes(report):
        yield Text.assemble((f"cost of {label}", "bold"), f": {note}", style="dim")


def _cards(report: Report) -> Table:
    """For a narrow terminal: each result as a few short lines."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for result in report.done:
        grid.add_row(Text(""), _name(result))
        gap = Text(f"{numbers.figure(result.auc)}  gap closed ") + _gap(result)
        grid.add_row(Text("AUC"), gap)
        bound = f" ({words.epsilon_delta(result.privacy)})" if result.is_private else ""
        grid.add_row(Text("guarantee"), Text(words.guarantee_short(result) + bound))
        for attack in result.attacks:
            bound = "" if attack.bound is None else f", bound {numbers.figure(attack.bound, 2)}"
            line = f"{attack.name} {words.interval(attack)}{bound}: {attack_words.in_short(attack)}"
            grid.add_row(Text("attack"), Text(line, style="bold red" if attack.breaks_bound else ""))
        cost = result.cost
        spent = f"{numbers.seconds(cost.wall_s)} wall, {numbers.seconds(cost.cpu_s)} CPU"
        sent = f"{numbers.size(cost.bytes_sent)} in {numbers.count(cost.messages)} messages"
        grid.add_row(Text("cost"), Text(f"{spent}, {sent}"))
        grid.add_row(Text(""), Text(""))
    return grid


def _in_words(report: Report) -> Iterator[Table | Text]:
    """What it protects, from whom and at what price, if there is one architecture; the page has all."""
    from rich.table import Table
    from rich.text import Text

    told = {result.label: result.in_words for result in report.done if any(result.in_words)}
    if len(told) != 1:
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, sentence in zip(("protects", "from whom", "at what price"), *told.values(), strict=True):
        if sentence:
            grid.add_row(Text(label), Text(sentence))
    yield Text("\nIn plain words", style="bold")
    yield grid


def _who_to_trust(report: Report) -> Iterator[Table | Text]:
    from rich.table import Table
    from rich.text import Text

    assumptions: dict[tuple[str, str], None] = {}
    for result in report.done:
        for party, assumption in result.trust:
            assumptions[(result.label, f"{words.role(party)} {_join(assumption)}")] = None
    if not assumptions:
        return
    yield Text("\nWhom it must trust", style="bold")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", max_width=24, overflow="fold")
    grid.add_column(overflow="fold")
    before = ""
    for label, sentence in assumptions:
        grid.add_row(Text(label if label != before else ""), Text(sentence))
        before = label
    yield grid
    if across := words.across_providers(report):
        yield Text(across, style="dim")


def _join(assumption: str) -> str:
    return assumption if assumption[:1].islower() else f": {assumption}"


def _not_run(report: Report) -> Iterator[Text]:
    from rich.text import Text

    for line in warnings(report):
        yield Text(f"\n! {line}", style="bold red")
    if report.skipped:
        yield Text("\nNot run", style="bold")
        for skipped in report.skipped:
            yield Text.assemble((skipped.architecture, "bold"), ": ", skipped.reason)
