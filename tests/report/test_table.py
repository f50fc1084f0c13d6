"""The terminal's table fits, degrades and prints users' text as text."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from comity.report import render_table


def show(document: dict[str, Any], width: int, **options: Any) -> str:
    buffer = io.StringIO()
    Console(file=buffer, width=width, **options).print(render_table(document))
    return buffer.getvalue()


@pytest.mark.parametrize("width", [30, 50, 80, 100, 112, 120, 200])
def test_fits_every_width(document: dict[str, Any], width: int) -> None:
    lines = show(document, width).splitlines()
    assert max(len(line) for line in lines) <= width


def test_at_120_columns_a_result_is_one_line(document: dict[str, Any]) -> None:
    lines = show(document, 120).splitlines()
    row = next(line for line in lines if line.startswith("validation (linked)") and "76" in line)
    for shown in ("0.910", "━━━━━━── 76", "1", "DP per label", "4.2", "6.3", "1.20", "18"):
        assert shown in row


@pytest.mark.parametrize("width", [60, 90, 120])
def test_tells_the_whole_story_at_any_width(document: dict[str, Any], width: int) -> None:
    text = " ".join(show(document, width).split())
    for shown in (
        "direct-release",
        "linkage",
        "[0.06, 0.12]",
        "ML party",
        "federated",
        "A pilot, not a release.",
    ):
        assert shown in text


@pytest.mark.parametrize("width", [60, 90, 120])
def test_says_what_a_reader_of_a_row_has_to_know_besides(document: dict[str, Any], width: int) -> None:
    document["results"][-1]["left_out"] = [{"column": "pid", "why": "it says whose row it is"}]
    document["results"][-1]["cost_note"] = "Rows are scored only to measure."
    text = " ".join(show(document, width).split())
    assert "validation (linked) leaves out: pid (it says whose row it is)" in text
    assert "cost of validation (linked): Rows are scored only to measure." in text
    assert text.count("for somebody who is at two providers it counts twice") == 1
    if width != 90:  # there the table folds it
        assert "50.5 of 100, 52.5 allowed; under its bound" in text
    if width >= 80:
        assert "linkage: Point at the released row of a known person. Chance is any row" in text


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("name", ["extract-few", "inversion-masked", "singling-out", "membership"])
def test_no_figure_of_an_attack_is_cropped(document: dict[str, Any], name: str, width: int) -> None:
    """Not even by one column: what does not fit the console, it cuts off without a word."""
    worst = {"advantage": -0.0123, "low": -0.04, "high": -0.02, "bound": 0.4612}
    document["results"][-1] |= {"architecture": "blind-validation", "mode": "encrypted"}
    document["results"][-1]["privacy"]["attacks"] = {name: worst}
    buffer = io.StringIO()
    Console(file=buffer, width=width).print(render_table(document), crop=False)
    text = buffer.getvalue()
    assert max(len(line) for line in text.splitlines()) <= width
    assert "0.46" in text
    assert "−0.02]" in text


def test_one_provider_has_nothing_to_add_up(document: dict[str, Any]) -> None:
    document["inputs"]["providers"] = document["inputs"]["providers"][:1]
    assert "at two providers" not in show(document, 120)


@pytest.mark.parametrize("width", [80, 120])
def test_one_architecture_stands_between_its_ends(document: dict[str, Any], width: int) -> None:
    """`try` shows one row: what it is measured against is said below it, and nowhere twice."""
    assert "Without collaborating" not in show(document, width)
    rows = [row for row in document["results"] if row["architecture"] == "validation"]
    ends = {"references": {"alone": {"auc": 0.791}, "pooled": {"auc": 0.934}}}
    text = " ".join(show({**document, **ends, "results": rows}, width).split())
    assert "Without collaborating 0.791 (alone: the seed rows only)" in text
    assert "in one place 0.934 (pooled)" in text


def test_missing_figures_are_dashes(document: dict[str, Any]) -> None:
    document["results"].append({"architecture": "synthetic"})
    row = next(line for line in show(document, 120).splitlines() if line.startswith("synthetic"))
    assert row.count("—") == 7
    assert "0" not in row


def test_failures_and_reasons_follow(document: dict[str, Any]) -> None:
    document["results"][3]["error"] = {"message": "party north stopped"}
    text = show(document, 120)
    assert "! direct-release failed: party north stopped" in text
    assert "federated: the part 'federated' is not installed" in text


def test_users_text_is_no_markup_and_no_escape(document: dict[str, Any]) -> None:
    evil = "[bold red]x[/] \x1b[31m \u202e [link=a]"
    document["inputs"]["target"] = evil
    document["results"][3]["architecture"] = evil
    document["skipped"] = [{"architecture": evil, "reason": evil}]
    document["inputs"]["schema"] = [{evil: evil}]
    text = show(document, 120)
    assert "[bold red]x[/]" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_no_colour_is_needed(document: dict[str, Any]) -> None:
    document["results"][-1]["privacy"]["attacks"]["label"] |= {"low": 0.8, "high": 0.9}
    assert "ABOVE its bound" in show(document, 120, no_color=True)


@given(
    st.floats(allow_nan=True) | st.none(),
    st.text(max_size=60),
    st.integers(min_value=20, max_value=160),
)
@settings(max_examples=60, deadline=None)
def test_prints_whatever_was_measured(value: float | None, text: str, width: int) -> None:
    utility = {"auc": value, "gap_closed": value}
    privacy = {"epsilon": value, "attacks": {text: {"advantage": value, "low": value, "high": value}}}
    cost = {"wall_s": value, "bytes_sent": value, "messages": value}
    entry = {"architecture": text, "mode": text, "utility": utility, "privacy": privacy, "cost": cost}
    assert "A pilot" in show({"results": [entry]}, width)


def test_names_break_at_hyphens_and_underscores(document: dict[str, Any]) -> None:
    document["results"][-1]["privacy"]["attacks"] = {"model-membership": {"advantage": 0.1, "bound": 0.4}}
    words = ("number_of_late_payments", "integer", "quasi_identifier", "0 to 40, and more than that", "0")
    keys = ("column", "type", "role", "bounds or levels", "missing")
    document["inputs"]["schema"] = [dict(zip(keys, words, strict=True))]
    lines = show(document, 80).splitlines()
    assert any("quasi_identifier" in line and "number_of_late_ " in line for line in lines)
    assert any(line.startswith("payments ") for line in lines)
    first = next(at for at, line in enumerate(lines) if " model- " in line)
    assert " membership " in lines[first + 1]
    assert max(map(len, lines)) <= 80
