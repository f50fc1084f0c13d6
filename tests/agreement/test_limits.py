"""A clause's limits against what a plan asks."""

from __future__ import annotations

from typing import Any

import pytest

from comity.agreement.clauses import MediatedReleaseClause
from comity.agreement.limits import require_within
from comity.errors import ClauseRefused, ComityError

CLAUSE = MediatedReleaseClause(k=5, suppression=0.05, origin_t=0.2, origin_l=2)
ASKS: dict[str, Any] = {"k": 5, "suppression": 0.05, "origin_t": 0.2, "origin_l": 2, "l": None, "t": None}


@pytest.mark.parametrize("stricter", [{}, {"k": 9}, {"origin_t": 0.1}, {"origin_l": 3}, {"t": 0.5, "l": 2}])
def test_what_is_as_strict_or_stricter_passes(stricter: dict[str, Any]) -> None:
    require_within(CLAUSE, ASKS | stricter, purpose="release")


@pytest.mark.parametrize(
    ("asked", "clause", "would_pass"),
    [
        ({"k": 4}, "architectures.mediated-release.k", "5 or more"),
        ({"origin_t": 0.3}, "architectures.mediated-release.origin_t", "0.2 or less"),
        ({"origin_t": None}, "architectures.mediated-release.origin_t", "0.2 or less"),
        ({"origin_l": 1}, "architectures.mediated-release.origin_l", "2 or more"),
        ({"retention_days": 366}, "architectures.mediated-release.retention_days", "365"),
    ],
)
def test_what_asks_for_more_is_refused(asked: dict[str, Any], clause: str, would_pass: str) -> None:
    with pytest.raises(ClauseRefused) as caught:
        require_within(CLAUSE, ASKS | asked, purpose="release")
    assert (caught.value.clause, caught.value.would_pass) == (clause, would_pass)


def test_a_limit_cannot_be_left_unsaid() -> None:
    with pytest.raises(ComityError, match="does not say what it asks of the clause's origin_t"):
        require_within(CLAUSE, {"k": 5, "suppression": 0.0, "origin_l": 2}, purpose="release")
