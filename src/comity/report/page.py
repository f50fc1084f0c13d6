"""One self-contained HTML page out of a comparison: no script, no request, every user's word escaped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import comity
from comity.report import attack_words, numbers, words
from comity.report.charts import charts
from comity.report.results import Report, Result
from comity.report.summary import name_with_epsilon, opening, picks, warnings

if TYPE_CHECKING:
    from jinja2 import Environment

_PARTY_ORDER = ("provider", "mediator", "ml_party")


def render_page(document: Mapping[str, Any]) -> str:
    """The page for a comparison's JSON (or for `try`'s one object), the same for the same document.

    Raises:
        BadInput: if the document is neither.
    """
    report = Report.read(document)
    drawn = charts(report)
    parties = _parties(report)
    return (
        _environment(report)
        .get_template("page.html")
        .render(
            report=report,
            charts={name: drawn.get(name) for name in ("utility", "epsilon", "cost", "attacks")},
            css=_stylesheet(),
            headline=words.headline(report),
            pilot=words.PILOT,
            pilot_why=words.PILOT_WHY,
            attack_note=words.ATTACKS_ARE_LOWER_BOUNDS,
            in_hundreds=attack_words.IN_HUNDREDS,
            across=words.across_providers(report),
            startup=words.startup(report),
            peak_memory=words.PEAK_MEMORY,
            cost_notes=words.cost_notes(report),
            known_to=None if report.known_to is None else numbers.figure(report.known_to, 2),
            opening=opening(report),
            picks=picks(report),
            warnings=warnings(report),
            sections=_sections(report, has_epsilon="epsilon" in drawn),
            parties=parties,
            exposure=_exposure(report, parties),
            version=comity.__version__,
        )
    )


@dataclass(frozen=True)
class Exposure:
    """What each party (in the table's order) sees in one architecture; None for one that takes no part."""

    result: Result
    seen: tuple[tuple[str, ...] | None, ...]


def _parties(report: Report) -> tuple[str, ...]:
    named = dict.fromkeys(party for result in report.done for party, _ in result.seen_by)
    first = [party for party in _PARTY_ORDER if party in named]
    return (*first, *(party for party in named if party not in _PARTY_ORDER))


def _exposure(report: Report, parties: tuple[str, ...]) -> list[Exposure]:
    """One row per architecture and mode: who sees what does not change with epsilon."""
    first = {result.label: result for result in reversed(report.done)}
    ordered = dict.fromkeys(result.label for result in report.done)
    return [
        Exposure(result, tuple(dict(result.seen_by).get(party) for party in parties))
        for result in (first[label] for label in ordered)
    ]


def _sections(report: Report, *, has_epsilon: bool) -> list[tuple[str, str]]:
    listed = [("summary", "Summary")]
    if report.done:
        listed.append(("utility", "Utility"))
        listed += [("epsilon", "Against ε")] if has_epsilon else []
        listed += [("in-words", "In plain words")] if any(any(r.in_words) for r in report.done) else []
        listed += [
            ("guarantees", "Promises"),
            ("attacks", "Attacks"),
            ("cost", "Cost"),
            ("parties", "Who sees what"),
        ]
    if report.skipped or report.failed:
        listed.append(("not-run", "Not run"))
    return [*listed, ("method", "Method")]


def kind(result: Result) -> str:
    """The CSS class that carries the colour of a result's guarantee."""
    return "baseline" if result.is_baseline else "private" if result.is_private else "exposed"


def _megabytes(value: float | None) -> str:
    return numbers.size(None if value is None else value * 1e6)


def _stylesheet() -> Any:
    from markupsafe import Markup

    # the package's own text, with nothing of the user's in it
    return Markup(_template_text("page.css"))


def _template_text(name: str) -> str:
    return resources.files("comity.report").joinpath("templates", name).read_text(encoding="utf-8")


def _environment(report: Report) -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FunctionLoader(_template_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "allowed": attack_words.allowed,
        "attack_verdict": words.attack_verdict,
        "between": attack_words.between,
        "by_chance": attack_words.by_chance,
        "chance": attack_words.chance,
        "count": numbers.count,
        "figure": numbers.figure,
        "guarantee": words.guarantee,
        "guarantee_short": words.guarantee_short,
        "interval": words.interval,
        "kind": kind,
        "left_out": words.left_out,
        "meaning": attack_words.meaning,
        "megabytes": _megabytes,
        "named": lambda result: name_with_epsilon(result, report),
        "percent": numbers.percent,
        "plain": numbers.plain,
        "reached": attack_words.reached,
        "role": words.role,
        "safe_svg": Markup,  # drawings escape what they show (comity.report.drawing)
        "seconds": numbers.seconds,
        "size": numbers.size,
        "tried": attack_words.tried,
    }
    return environment
