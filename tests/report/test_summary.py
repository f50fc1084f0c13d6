"""The opening says which architecture serves which need, and hides no failure."""

from __future__ import annotations

from typing import Any

from comity.report.results import Report
from comity.report.summary import name_with_epsilon, opening, picks, warnings


def test_opening_states_both_ends_and_what_a_provider_does_alone(document: dict[str, Any]) -> None:
    text = opening(Report.read(document))
    assert "0.851" in text
    assert "0.928" in text
    assert "A provider on its own rows reaches 0.909" in text


def test_opening_without_baselines(document: dict[str, Any]) -> None:
    del document["references"]
    document["results"] = document["results"][3:]
    assert "no figure for shares of the gap" in opening(Report.read(document))


def test_opening_where_there_is_no_gap(document: dict[str, Any]) -> None:
    document["results"][2]["utility"]["auc"] = 0.855
    assert "hardly a gap" in opening(Report.read(document))
    document["results"][2]["utility"]["auc"] = 0.8
    assert "0.800: less than without them, so no gap to close." in opening(Report.read(document))


def test_picks_never_name_a_baseline(document: dict[str, Any]) -> None:
    found = picks(Report.read(document))
    assert [(pick.result.architecture, pick.result.privacy.epsilon) for pick in found if pick.result] == [
        ("validation", 1.0),
        ("validation", 0.1),
        ("direct-release", None),
    ]


def test_a_useful_release_without_dp_is_paired_with_the_best_private_one(document: dict[str, Any]) -> None:
    document["results"][3]["utility"]["auc"] = 0.92
    first, second, *_ = picks(Report.read(document))
    assert first.result is not None
    assert first.result.architecture == "direct-release"
    assert "no differential privacy" in first.words
    assert second.result is not None
    assert second.result.privacy.epsilon == 1.0


def test_one_architecture_is_not_the_cheapest_of_one(document: dict[str, Any]) -> None:
    document["results"] = [*document["results"][:3], document["results"][-1]]
    assert [pick.need for pick in picks(Report.read(document))] == ["The most accurate way of sharing"]


def test_nothing_to_pick_from(document: dict[str, Any]) -> None:
    document["results"] = document["results"][:3]
    assert picks(Report.read(document)) == ()


def test_a_need_that_nothing_serves_says_so(document: dict[str, Any]) -> None:
    document["results"] = document["results"][:4]
    document["results"][3]["utility"]["auc"] = None
    found = picks(Report.read(document))
    assert found[0].result is None
    assert "No architecture with differential privacy" in found[1].words


def test_leakage_above_its_bound_and_failures_are_warned_of(document: dict[str, Any]) -> None:
    document["results"][-1]["privacy"]["attacks"]["label"] |= {"advantage": 0.9, "low": 0.8, "high": 1.0}
    document["results"][3]["error"] = "party north stopped"
    first, second = warnings(Report.read(document))
    assert "above its bound of 0.46" in first
    assert second == "direct-release failed: party north stopped"


def test_epsilon_is_named_only_in_a_sweep(document: dict[str, Any]) -> None:
    swept = Report.read(document)
    assert name_with_epsilon(swept.results[-1], swept).replace("\u00a0", " ") == "validation (linked), ε = 1"
    document["results"] = document["results"][:4] + document["results"][5:]
    single = Report.read(document)
    assert name_with_epsilon(single.results[-1], single) == "validation (linked)"
