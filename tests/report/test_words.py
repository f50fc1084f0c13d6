"""Guarantees are worded as docs/privacy.md words them, and promise no more."""

from __future__ import annotations

from typing import Any

import pytest

from comity.report import words
from comity.report.results import Report, Result


def _result(document: dict[str, Any], number: int) -> Result:
    return Report.read(document).results[number]


def test_a_label_guarantee_names_what_it_does_not_cover(document: dict[str, Any]) -> None:
    sentence = words.guarantee(_result(document, -1))
    assert "when one label changes" in sentence
    assert "says nothing about membership" in sentence
    assert "features, ids" in sentence


@pytest.mark.parametrize(
    ("epsilon", "factor"), [(0.1, "1.11"), (1.0, "2.72"), (3.0, "21"), (10.0, "22,027"), (50.0, "e^50")]
)
def test_the_factor_is_rounded_against_the_promise(
    document: dict[str, Any], epsilon: float, factor: str
) -> None:
    document["results"][-1]["privacy"]["epsilon"] = epsilon
    assert f"at most a factor of {factor}, plus δ" in words.guarantee(_result(document, -1))


@pytest.mark.parametrize(
    ("unit", "relation", "said"),
    [
        ("record", "add-remove", "when one record's rows come or go"),
        ("person", "add-remove", "when one person's rows come or go"),
        ("label", "change-one", "when one label changes"),
        ("party", "add-remove", "when one party comes or goes"),
        (None, "something-new", "when data differ in one unit (something-new)"),
    ],
)
def test_units_and_relations(document: dict[str, Any], unit: str, relation: str, said: str) -> None:
    document["results"][-1]["privacy"] |= {"unit": unit, "relation": relation}
    assert said in words.guarantee(_result(document, -1))


def test_a_k_anonymous_release_is_not_called_private(document: dict[str, Any]) -> None:
    sentence = words.guarantee(_result(document, 3))
    assert sentence.startswith("No differential privacy.")
    assert "at least 4 others" in sentence
    assert "does not compose" in sentence


def test_a_note_is_kept(document: dict[str, Any]) -> None:
    document["results"][2]["privacy"]["note"] = "None: the ML party gets every raw row."
    assert words.guarantee(_result(document, 2)) == "None: the ML party gets every raw row."


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        ({"advantage": None}, "not measured"),
        ({"bound": None}, "no bound applies"),
        ({"low": 0.1, "high": 0.2, "bound": 0.3}, "under its bound"),
        ({"low": 0.1, "high": 0.4, "bound": 0.3}, "interval reaches past its bound"),
        ({"low": 0.35, "high": 0.4, "bound": 0.3}, "ABOVE its bound"),
    ],
)
def test_verdicts(document: dict[str, Any], figures: dict[str, Any], verdict: str) -> None:
    document["results"][-1]["privacy"]["attacks"]["label"] |= figures
    assert words.attack_verdict(_result(document, -1).attacks[0]) == verdict
