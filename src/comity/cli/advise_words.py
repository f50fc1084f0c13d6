"""Advice drawn for a terminal, made for 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table as Grid

    from comity.advise.advice import Advice, Against, Choice

_HOLDER = (
    "This may tell of raw rows: it is for the holders of the tables, not a release. It is advice on the "
    "questions above, not a legal opinion."
)
_ROLES = {"provider": "provider", "ml_party": "ML party", "mediator": "mediator"}
_SEEMS = {"answered": "", "measured": "measured", "compared": "compared"}
_FIRST, _SECOND = 17, 13


def told(advice: Advice) -> Iterator[Any]:
    """The parts to print, in their order."""
    from rich.text import Text

    from comity.advise.rules import NOTHING
    from comity.advise.trust import trust_of

    first, table = advice.first, trust_of(advice.first.architecture, advice.first.mode)
    yield Text(f"\nAdvised: {_named(first.name)}", style="bold")
    if table.summary:
        yield Text(table.summary)
    yield Text("")
    yield _section("Why", [("", f"{first.reason} ({first.source})"), *_beside(first)])
    yield _rests_on(advice)
    if notes := [("-", words) for words in _notes(advice)]:
        yield _section("Worth knowing", notes, width=1)
    if table.in_words:
        names = (("protects", "protects"), ("against", "from whom"), ("price", "at what price"))
        yield _section("In plain words", [(shown, table.in_words[name]) for name, shown in names])
    if table.trust:
        yield _section("Whom it must trust", _by_role(table.trust))
        seen = [(role, thing) for role, things in table.seen_by.items() for thing in things]
        yield _section("What each of them sees", _by_role(seen))
        if table.unavailable:
            yield _section("On this machine", [("", table.unavailable)])
    elif first.architecture != NOTHING:
        yield Text("This comity does not have it: whom it trusts with what is not known here.\n")
    if len(advice.ranked) > 1:
        yield _section("These fit as well", [line for one in advice.ranked[1:] for line in _other(one)])
    yield _section("Why not", [pair for one in advice.against for pair in _reasons(one)])
    yield _section("What would change it", [("", f"{when}: {then}.") for when, then in _changes(advice)])
    yield Text(_HOLDER, style="dim")


def _section(title: str, rows: Sequence[tuple[str, str]], width: int = _FIRST) -> Grid:
    """A title over rows of a short name and its words."""
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(
        title=title, title_justify="left", title_style="bold", box=None, show_header=False, pad_edge=False
    )
    if any(name for name, _ in rows):
        grid.add_column(width=width)
    grid.add_column()
    for name, words in rows:
        cells = [Text(name), Text(words)] if len(grid.columns) > 1 else [Text(words)]
        grid.add_row(*cells)
    grid.add_row("")
    return grid


def _beside(choice: Choice) -> list[tuple[str, str]]:
    lines = [] if choice.measured is None else [("", f"Measured: {choice.measured.words()}.")]
    if len(choice.sweep) > 1:
        lines += [("", f"At epsilon {one.epsilon:g}: {one.outcome()}.") for one in choice.sweep]
    if choice.weakness:
        lines.append(("", f"Think about: {choice.weakness}."))
    return lines + ([("", f"Think about: {choice.caution}")] if choice.caution else [])


def _named(name: str) -> str:
    """An architecture by its name, or that nothing fits."""
    from comity.advise.rules import NOTHING

    return "nothing that comity has fits" if name == NOTHING else name


def _rests_on(advice: Advice) -> Grid:
    """The answers that the advice rests on, and how each is known."""
    rows: list[tuple[str, str]] = []
    from comity.advise.advice import said

    for name, answer in advice.first.cites.items():
        known = advice.known[name]
        evidence = f" [{_SEEMS[known.how]}: {known.evidence}]" if _SEEMS[known.how] else ""
        rows.append((f"{name}: {answer}", f"{said(name, answer)}{evidence}"))
    return _section("It rests on", rows, width=22)


def _notes(advice: Advice) -> Iterator[str]:
    yield from (*advice.notes, *advice.facts.notes)
    if advice.first.architecture == "plain":
        doubtful = {one.column: one.why for one in advice.facts.personal}
        yield from (
            f"{column}: {why}. plain withholds the table for that, unless the agreement confirms that the "
            f"column is about no person (architectures.plain.confirmed: [{column}])"
            for column, why in doubtful.items()
        )


def _by_role(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Rows with each role named once."""
    rows: list[tuple[str, str]] = []
    last = ""
    for role, words in pairs:
        name = _ROLES.get(role, role)
        rows.append(("" if name == last else name, words))
        last = name
    return rows


def _other(choice: Choice) -> Iterator[tuple[str, str]]:
    measured = "" if choice.measured is None else f" Measured: {choice.measured.words()}."
    yield (choice.architecture, f"{choice.reason}{measured}")


def _reasons(one: Against) -> Iterator[tuple[str, str]]:
    yield from ((one.architecture if at == 0 else "", why) for at, why in enumerate(one.why))


def _changes(advice: Advice) -> Iterator[tuple[str, str]]:
    """What every other answer would lead to, answers with the same end together."""
    from comity.advise.advice import said

    ends: dict[str, list[str]] = {}
    for change in advice.changes:
        then = " or ".join(map(_named, change.then)) or "something else: more would be asked"
        ends.setdefault(then, []).append(said(change.question, change.answer))
    for then, conditions in ends.items():
        yield (f"If {', or '.join(conditions)}", then)
