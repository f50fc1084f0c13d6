"""The clause of `homomorphic`: scores need no epsilon, sums do."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from comity.agreement import HomomorphicClause

SCORES = {"scheme": "ckks", "queries": 32}
SUMS = {"scheme": "bfv", "queries": 32}
DP = {"epsilon": 1.0, "delta": 1e-6}


@pytest.mark.parametrize(
    "clause",
    [
        SCORES,
        SCORES | {"score_error": 0.25, "flooding_bits": 78},
        SCORES | DP,
        SCORES | {"unsafe_exact": True},
        SUMS | DP,
        SUMS | {"unsafe_exact": True},
    ],
)
def test_what_an_agreement_may_say(clause: dict[str, Any]) -> None:
    read = HomomorphicClause.model_validate(clause)
    assert read.spending_limit == ((1.0, 1e-6) if "epsilon" in clause else None)
    assert HomomorphicClause.model_validate(read.to_dict()) == read


@pytest.mark.parametrize(
    ("clause", "words"),
    [
        (SUMS, "unsafe_exact"),
        (SCORES | {"epsilon": 1.0}, "come together"),
        (SCORES | DP | {"unsafe_exact": True}, "to go without"),
        (SUMS | DP | {"score_error": 0.5}, "scheme ckks"),
        (SCORES | {"score_error": 0.0}, "score_error"),
        (SCORES | {"score_error": 513.0}, "score_error"),
        (SCORES | {"flooding_bits": 39}, "flooding_bits"),
        (SCORES | {"queries": 0}, "queries"),
    ],
)
def test_what_it_may_not(clause: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        HomomorphicClause.model_validate(clause)
