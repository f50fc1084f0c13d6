"""What an agreement lets a plan ask: within its clause's limits, of its own data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from comity.agreement.clause import Clause
from comity.agreement.terms import Agreement
from comity.errors import ClauseRefused, ComityError

_AT_LEAST: Final = frozenset({"k", "l", "minimum_group", "origin_l"})
_AT_MOST: Final = frozenset({"suppression", "t", "epsilon", "delta", "origin_t", "rounds", "rows"})
_IN_THE_COST: Final = frozenset({"epsilon", "delta"})


def require_within(clause: Clause, asks: Mapping[str, Any], *, purpose: str) -> None:
    """Hold what a plan asks against its clause.

    Args:
        purpose: the plan's, for the defect that it does not say what it asks.

    Raises:
        ClauseRefused: naming the limit, what was asked and what would pass.
    """
    for name in sorted((_AT_LEAST | _AT_MOST) - _IN_THE_COST):
        if getattr(clause, name, None) is not None and name not in asks:
            raise ComityError(f"the plan '{purpose}' does not say what it asks of the clause's {name}")
    for name, asked in asks.items():
        _require(clause.architecture, name, asked, getattr(clause, name, None))


def require_own_data(agreement: Agreement, provider: str, lineage: str) -> None:
    """Hold an account against the agreement: a provider's, of the data that the agreement is about.

    Raises:
        ClauseRefused: naming the party or the lineage.
    """
    party = agreement.party(provider)
    if party.role != "provider":
        raise ClauseRefused(
            f"'{party.name}' is no provider in this agreement", clause=f"parties.{party.name}"
        )
    agreed = agreement.data_of(provider).lineage
    if agreed != lineage:
        raise ClauseRefused(
            "the agreement is about other data of this provider",
            clause=f"data.{provider}.lineage",
            asked=lineage,
            would_pass=agreed,
        )


def _require(architecture: str, name: str, asked: Any, allowed: Any) -> None:
    """One limit of the clause. An absent limit allows anything; an asked None falls short of any limit."""
    if allowed is None:
        return
    if name in _AT_LEAST:
        passes = asked is not None and asked >= allowed
        word = f"{allowed} or more"
    elif name in _AT_MOST:
        passes = asked is not None and asked <= allowed
        word = f"{allowed} or less"
    else:
        passes = asked == allowed
        word = f"{allowed}"
    if not passes:
        raise ClauseRefused(
            f"the clause sets {name} to {word}",
            clause=f"architectures.{architecture}.{name}",
            asked=str(asked),
            would_pass=word,
        )
