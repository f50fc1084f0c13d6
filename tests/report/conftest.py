"""A realistic comparison: providers of Adult, baselines, a release without DP, a sweep of epsilon."""

from __future__ import annotations

import math
from typing import Any

import pytest


def result(architecture: str, auc: float | None, gap: float | None, **more: Any) -> dict[str, Any]:
    """One result with every key of the contract; `more` replaces whole keys."""
    entry: dict[str, Any] = {
        "architecture": architecture,
        "mode": None,
        "summary": f"What {architecture} does, in one sentence.",
        "in_words": {
            "protects": f"What {architecture} protects.",
            "against": f"Whom {architecture} protects it from.",
            "price": f"What {architecture} costs.",
        },
        "utility": {"auc": auc, "accuracy": 0.85, "gap_closed": gap, "rows_used": 39073, "model": "boosted"},
        "privacy": {
            "epsilon": None,
            "delta": None,
            "unit": None,
            "relation": None,
            "k": None,
            "prior_knowledge": [],
            "note": "",
            "attacks": {},
        },
        "cost": {
            "wall_s": 4.2,
            "startup_s": 3.1,
            "cpu_s": 6.3,
            "bytes_sent": 1_203_442,
            "peak_rss_mb": 412.5,
            "messages": 18,
        },
        "trust": [{"party": "ml_party", "assumption": "keeps what it got to itself"}],
        "seen_by": {"provider": ["grouped queries"], "ml_party": ["noisy sums", "nothing about one label"]},
    }
    return entry | more


def attack(advantage: float, bound: float | None) -> dict[str, Any]:
    return {
        "advantage": advantage,
        "low": advantage - 0.03,
        "high": advantage + 0.03,
        "bound": bound,
        "control": 0.001,
        "trials": 2000,
    }


def validation(epsilon: float, auc: float, gap: float) -> dict[str, Any]:
    privacy = {
        "epsilon": epsilon,
        "delta": 1e-6,
        "unit": "label",
        "relation": "change-one",
        "k": None,
        "prior_knowledge": ["features", "ids"],
        "note": "",
        "attacks": {"label": attack(0.01, math.tanh(epsilon / 2)), "membership": attack(0.0, None)},
    }
    return result("validation", auc, gap, mode="linked", privacy=privacy)


@pytest.fixture
def document() -> dict[str, Any]:
    release = result("direct-release", 0.8991, 0.62)
    release["privacy"] |= {"k": 5, "attacks": {"linkage": attack(0.09, None)}}
    return {
        "comity": "0.1.0",
        "note": "A pilot.",
        "inputs": {
            "providers": [{"name": "north", "rows": 16281}, {"name": "south", "rows": 16281}],
            "target": "income",
            "positive": ">50K",
            "test_rows": 9769,
            "seed": 20260101,
            "epsilons": [0.1, 1.0],
            "delta": 1e-6,
            "schema": [{"column": "age", "type": "integer", "role": "quasi_identifier"}],
            "notes": ["2 rows without a target were left out"],
        },
        "references": {"alone": {"auc": 0.8512}, "pooled": {"auc": 0.9284}},
        "results": [
            result("alone", 0.8512, 0.0),
            result("alone-provider", 0.9088, 0.74),
            result("pooled", 0.9284, 1.0),
            release,
            validation(0.1, 0.8931, 0.543),
            validation(1.0, 0.9102, 0.764),
        ],
        "skipped": [{"architecture": "federated", "reason": "the part 'federated' is not installed"}],
        "keep": "kept",
    }
