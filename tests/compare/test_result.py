"""The JSON object of one architecture: the keys CONTRACT fixes, and null where there is no figure."""

from __future__ import annotations

import pytest

from comity.architectures import find, names
from comity.architectures.definition import Options
from comity.attack.result import AttackResult
from comity.compare.result import Cost, Ends, Result, Utility, gap_closed

ALONE, POOLED = Utility(0.8, 0.8, 200), Utility(0.9, 0.85, 9000)


@pytest.mark.parametrize(
    ("auc", "alone", "pooled", "expected"),
    [
        (0.85, 0.8, 0.9, 0.5),
        (0.95, 0.8, 0.9, 1.5),
        (0.75, 0.8, 0.9, -0.5),
        (0.85, 0.895, 0.9, None),
        (None, 0.8, 0.9, None),
        (0.85, 0.8, None, None),
    ],
)
def test_gap_closed_is_contracts_formula(
    auc: float | None, alone: float, pooled: float | None, expected: float | None
) -> None:
    found = gap_closed(Utility(auc, None, None), Utility(alone, None, None), Utility(pooled, None, None))
    assert found == (None if expected is None else pytest.approx(expected))


def test_costs_of_all_parties_are_added() -> None:
    one = {"cost": {"wall_s": 2.0, "cpu_s": 1.0, "peak_rss_mb": 100.0, "bytes_sent": 10, "messages": 1}}
    two = {"cost": {"wall_s": 3.0, "cpu_s": 2.5, "peak_rss_mb": 50.0, "bytes_sent": 5, "messages": 2}}
    cost = Cost.of({"a": one, "b": two}, wall_s=3.1, startup_s=4.0)
    assert (cost.cpu_s, cost.peak_rss_mb, cost.bytes_sent, cost.messages) == (3.5, 150.0, 15, 3)
    assert (cost.wall_s, cost.startup_s) == (3.1, 4.0)


@pytest.mark.parametrize("name", names())
def test_every_architecture_has_every_key(name: str) -> None:
    architecture = find(name)
    result = Result(
        architecture=architecture,
        options=Options(),
        guarantee=architecture.guarantee(Options()),
        utility=Utility(0.85, 0.8, 100),
        cost=Cost(1.0, 2.0, 3.0, 4, 5.0, 6),
        attacks={"membership": AttackResult("membership", 0.0, -0.1, 0.1)},
    ).to_dict(Ends(ALONE, POOLED))
    assert result["architecture"] == name
    assert set(result) >= {"architecture", "mode", "utility", "privacy", "cost", "trust", "seen_by"}
    assert set(result["utility"]) >= {"auc", "accuracy", "gap_closed", "rows_used"}
    assert set(result["privacy"]) >= {
        "epsilon", "delta", "unit", "relation", "k", "prior_knowledge", "attacks"
    }  # fmt: skip
    assert set(result["privacy"]["attacks"]["membership"]) >= {"advantage", "low", "high", "bound"}
    assert set(result["cost"]) == {
        "wall_s", "startup_s", "cpu_s", "bytes_sent", "peak_rss_mb", "messages"
    }  # fmt: skip
    assert all(set(trust) == {"party", "assumption"} for trust in result["trust"])


def test_a_failed_run_keeps_its_keys_and_says_why() -> None:
    architecture = find("pooled")
    result = Result(
        architecture=architecture,
        options=Options(),
        guarantee=architecture.guarantee(Options()),
        utility=None,
        cost=None,
        attacks={},
        error={"code": "party-failed", "exit_code": 5, "message": "gone"},
    ).to_dict(Ends(ALONE, POOLED))
    assert result["error"]["message"] == "gone"
    assert result["utility"]["auc"] is None
    assert result["cost"]["wall_s"] is None


def test_where_learning_begins_is_told() -> None:
    result = Result(
        architecture=find("validation"),
        options=Options(),
        guarantee=find("validation").guarantee(Options()),
        utility=Utility(0.85, 0.8, 100, start_auc=0.82),
        cost=None,
        attacks={},
    ).to_dict(Ends(ALONE, POOLED))
    assert result["utility"]["start_auc"] == 0.82
    assert result["utility"]["gap_closed"] == pytest.approx(0.5)
