"""Insight reports: signed claims, and how they fare on later data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from comity.crypto.keys import SigningKey
from comity.errors import BadInput, UsageError, VerificationFailed
from comity.validate.insight import Claim, ClaimKind, InsightReport, Outcome, score_report

KEY = SigningKey.generate()
rng = np.random.default_rng(3)
AGE = rng.integers(20, 90, 4000)
JOB = rng.choice(["baker", "smith"], 4000)
CHANCE = np.where(AGE >= 60, 0.6, 0.2)
ILL = (rng.random(4000) < CHANCE).astype(int)
COLUMNS = {"age": AGE, "job": JOB}
OLD = {"age": {"low": 60, "high": None}}


def report(*claims: Claim) -> InsightReport:
    return InsightReport.sign(
        KEY, party="analyst", agreement="ab" * 32, time="2026-01-01T00:00:00Z", claims=claims
    )


def outcomes(*claims: Claim, **more: Any) -> list[Outcome]:
    return [one.outcome for one in score_report(report(*claims), COLUMNS, ILL, **more)]


def test_true_claims_hold_and_false_ones_do_not() -> None:
    assert (
        outcomes(
            Claim(ClaimKind.share, OLD, 0.55, 0.65),
            Claim(ClaimKind.share, {}, 0.30, 0.45),
            Claim(ClaimKind.share, {**OLD, "job": ["baker"]}, 0.5, 0.7),
            Claim(ClaimKind.effect, OLD, 0.35, 0.45),
            Claim(ClaimKind.auc, {}, 0.65, 0.75),
            Claim(ClaimKind.accuracy, {}, 0.68, 0.78),
            scores=CHANCE,
        )
        == [Outcome.holds] * 6
    )
    assert (
        outcomes(
            Claim(ClaimKind.share, OLD, 0.1, 0.3),
            Claim(ClaimKind.effect, {"job": ["baker"]}, 0.2, 0.4),
            Claim(ClaimKind.auc, {}, 0.9, 0.95),
            Claim(ClaimKind.accuracy, {}, 0.9, 1.0),
            scores=CHANCE,
        )
        == [Outcome.wrong] * 4
    )


def test_what_cannot_be_tested_is_said() -> None:
    assert (
        outcomes(
            Claim(ClaimKind.share, {"height": {"low": 1, "high": 2}}, 0.0, 1.0),
            Claim(ClaimKind.share, {"age": {"low": 200, "high": None}}, 0.0, 1.0),
            Claim(ClaimKind.auc, {}, 0.5, 1.0),
            Claim(ClaimKind.effect, {}, 0.0, 1.0),
        )
        == [Outcome.untested] * 4
    )
    constant = score_report(report(Claim(ClaimKind.auc, {}, 0.5, 1.0)), {}, np.ones(100), scores=np.ones(100))
    assert constant[0].outcome is Outcome.untested


def test_the_figures_are_the_known_ones() -> None:
    told = score_report(report(Claim(ClaimKind.auc, {}, 0, 1)), COLUMNS, ILL, scores=CHANCE + AGE / 1000)
    assert told[0].observed is not None
    value, low, high = told[0].observed
    assert value == pytest.approx(roc_auc_score(ILL, CHANCE + AGE / 1000))
    assert low < value < high
    (share,) = score_report(report(Claim(ClaimKind.share, {}, 0, 1)), {}, np.array([1] * 10 + [0] * 90))
    assert share.observed is not None
    # Wilson's interval at 99% for 10 of 100
    assert share.observed == pytest.approx((0.1, 0.0459, 0.2038), abs=2e-4)
    assert share.words().startswith(
        "holds: share among everybody: 0 to 1; seen 0.100 (0.046 to 0.204) in 100"
    )


def test_intervals_cover() -> None:
    """A share of .2, 500 trials of 60 rows: about 1% are missed; more than 25 with chance < 1e-9."""
    own = np.random.default_rng(11)
    claim = report(Claim(ClaimKind.share, {}, 0.2, 0.2))
    missed = sum(
        score_report(claim, {}, (own.random(60) < 0.2).astype(int))[0].outcome is Outcome.wrong
        for _ in range(500)
    )
    assert missed <= 25


def test_reports_are_signed_and_read_strictly() -> None:
    made = report(
        Claim(ClaimKind.share, OLD, 0.5, 0.7), Claim(ClaimKind.effect, {"job": ["smith"]}, -0.1, 0.1)
    )
    again = InsightReport.from_dict(made.to_dict())
    again.verify(KEY.verify_key)
    assert again.to_dict() == made.to_dict()
    with pytest.raises(VerificationFailed, match="the insight report of 'analyst'"):
        again.verify(SigningKey.generate().verify_key)
    document = made.to_dict()
    document["claims"][0]["low"] = 0.1
    with pytest.raises(VerificationFailed):
        InsightReport.from_dict(document).verify(KEY.verify_key)


@pytest.mark.parametrize(
    "claim",
    [
        {"kind": "vibe", "where": {}, "low": 0, "high": 1},
        {"kind": "share", "where": [], "low": 0, "high": 1},
        {"kind": "share", "where": {}, "low": "0", "high": 1},
        {"kind": "share", "where": {}, "low": 0.6, "high": 0.5},
        {"kind": "share", "where": {}, "low": -0.5, "high": 0.5},
        {"kind": "share", "where": {"age": 3}, "low": 0, "high": 1},
        {"kind": "share", "where": {"age": {"low": 1}}, "low": 0, "high": 1},
        {"kind": "share", "where": {"age": {"low": "x", "high": None}}, "low": 0, "high": 1},
        {"kind": "share", "where": {}, "low": 0},
        3,
    ],
)
def test_what_is_no_claim(claim: Any) -> None:
    document = {**report(Claim(ClaimKind.share, {}, 0, 1)).to_dict(), "claims": [claim]}
    with pytest.raises(BadInput):
        InsightReport.from_dict(document)


@pytest.mark.parametrize(
    "damage", [{"claims": []}, {"claims": {}}, {"signature": "zz"}, {"party": 3}, {"x": 1}]
)
def test_what_is_no_report(damage: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        InsightReport.from_dict({**report(Claim(ClaimKind.share, {}, 0, 1)).to_dict(), **damage})
    with pytest.raises(BadInput):
        report()


def test_arrays_that_do_not_fit() -> None:
    claims = report(Claim(ClaimKind.share, {}, 0, 1))
    with pytest.raises(UsageError, match="they need the same"):
        score_report(claims, {"age": AGE[:10]}, ILL)
    with pytest.raises(UsageError, match="0 or 1"):
        score_report(claims, {}, np.array([0, 2]))
