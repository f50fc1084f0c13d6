"""Reading is tolerant: whatever was measured, a report comes out, and a missing figure is never 0."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.errors import BadInput
from comity.report.results import Report, clean_text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["architecture", "mode", "utility", "privacy", "cost", "trust", "seen_by", "error", "auc", "attacks"]
)
RESULTS = st.lists(st.dictionaries(KEYS, JSON, max_size=8), max_size=4)


def test_reads_the_contract(document: dict[str, Any]) -> None:
    report = Report.read(document)
    assert [r.architecture for r in report.collaborations] == ["direct-release", "validation", "validation"]
    assert report.epsilons == (0.1, 1.0)
    assert report.reference_aucs == {"alone": 0.8512, "pooled": 0.9284}
    assert report.results[-1].label == "validation (linked)"
    assert report.results[-1].attacks[0].trials == 2000
    (skipped,) = report.skipped
    assert (skipped.architecture, skipped.reason) == ("federated", "the part 'federated' is not installed")
    assert dict(report.inputs)["seed"] == "20260101"


def test_references_serve_where_the_baselines_are_not_among_the_results(document: dict[str, Any]) -> None:
    document["results"] = document["results"][3:]
    assert Report.read(document).reference_aucs == {"alone": 0.8512, "pooled": 0.9284}


def test_reads_the_one_object_of_try(document: dict[str, Any]) -> None:
    assert [r.label for r in Report.read(document["results"][-1]).results] == ["validation (linked)"]


@pytest.mark.parametrize("wrong", [{}, {"results": 3}, {"results": "validation"}])
def test_refuses_another_document(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="no 'results'"):
        Report.read(wrong)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "0.9", True, [], {}, 10**400])
def test_what_is_no_figure_is_none(document: dict[str, Any], value: object) -> None:
    document["results"][0]["utility"]["auc"] = value
    assert Report.read(document).results[0].auc is None


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("party north stopped", "party north stopped"),
        ({"code": "party-failed", "message": "party north stopped"}, "party north stopped"),
        ({"code": "party-failed"}, "party-failed"),
        ({}, "failed without a message"),
        ("", "failed without a message"),
    ],
)
def test_a_failed_result_is_not_done(document: dict[str, Any], error: object, shown: str) -> None:
    document["results"][3]["error"] = error
    report = Report.read(document)
    assert [r.error for r in report.failed] == [shown]
    assert "direct-release" not in [r.architecture for r in report.done]


@given(RESULTS, st.dictionaries(st.sampled_from(["inputs", "skipped", "references", "keep"]), JSON))
@settings(max_examples=300)
def test_reads_anything_json(results: list[dict[str, Any]], rest: dict[str, Any]) -> None:
    Report.read({"results": results, **rest})


@given(st.text())
def test_clean_text_is_one_short_printable_line(text: str) -> None:
    cleaned = clean_text(text, 20)
    assert len(cleaned) <= 20
    assert cleaned.replace("\u200c", "").replace("\u200d", "").isprintable()
    assert not set(cleaned) & set("\n\r\t\x1b\x00\u202e\u2066\ufeff")


def test_clean_text_marks_what_it_cut() -> None:
    assert clean_text("abcdef", 4) == "abc…"
    assert clean_text("ab\n\tcd") == "ab cd"
    assert clean_text("\x1b[31mred\u202e") == "[31mred"
