"""The limits of each architecture that `comity agree draft` asks for, in words and with a default.

A default is what the architecture's own runs need (`Architecture.clause`), so that an agreement drafted with
nothing but Enter can be run. Limits without words here are asked for by their name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from comity.cli.agree_questions import CHANCE, POSITIVE, SHARE, Range


@dataclass(frozen=True)
class Limit:
    """One limit of a clause.

    Attributes:
        field: its name in the agreement.
        kind: `count`, `number`, `flag`, or the choices and what they mean.
        words: the question.
        default: where the architecture itself has none.
        optional: whether it may be left out.
        modes: the modes in which it is asked; None: in all.
        within: the range of a number.
    """

    field: str
    kind: str | Mapping[str, str]
    words: str
    default: Any = None
    optional: bool = False
    modes: tuple[str, ...] | None = None
    within: Range | None = None


def guessing(epsilon: float, delta: float) -> str:
    """How often a guess at something that was as likely as not can be right, in per cent, rounded up."""
    factor = math.exp(min(epsilon, 50))
    return f"{math.ceil(1000 * (factor + delta) / (1 + factor)) / 10:g}%"


_EPSILON = Limit(
    "epsilon",
    "number",
    "  Epsilon says how much the answers may tell of one value. Who knows all else and guesses a value as\n"
    f"  likely as not is right at most {guessing(0.1, 1e-6)} of the time at 0.1, {guessing(1, 1e-6)} at 1, "
    f"{guessing(3, 1e-6)} at 3.\n"
    "  Epsilon that may be spent under this clause",
    1.0,
    within=POSITIVE,
)
_DELTA = Limit("delta", "number", "  And delta, the chance that this fails altogether", 1e-6, within=CHANCE)
NOBODY: Final = "nobody"
"""An answer that leaves a limit out."""

_RETENTION = Limit(
    "retention_days",
    "count",
    "  For how many days may recipients keep what they got (0: until the run ends)",
    365,
)
_K = (
    Limit(
        "k",
        "count",
        "  Each released row must look like how many, in what others may know (k)",
        5,
        within=Range(2),
    ),
    Limit(
        "suppression", "number", "  What share of the rows may be left out to reach that", 0.05, within=SHARE
    ),
    Limit(
        "l",
        "count",
        "  How many different sensitive values in each such group (l); empty: not asked",
        optional=True,
        within=Range(2),
    ),
    Limit(
        "t",
        "number",
        "  How far may sensitive values in a group differ from all rows' (t, 0 to 1); empty: not asked",
        optional=True,
        within=Range(0, 1),
    ),
    Limit(
        "attempts",
        "count",
        "  How many attempts at the release, since a refusal tells something too (1 to 3)",
        3,
        within=Range(1, 3),
    ),
)
_QUERIES = Limit(
    "queries", "count", "  How many questions may be asked of each provider's labels", 10, within=Range(1)
)

LIMITS: Final[Mapping[str, tuple[Limit, ...]]] = {
    "plain": (
        Limit(
            "not_sensitive",
            "flag",
            "  Tables leave as they are, and cannot be called back.\n"
            "  Is it so that no row tells anything that a provider has to keep to itself",
        ),
        Limit("not_personal", "flag", "  And that no row is about a person, or a company of one person"),
        _RETENTION,
    ),
    "direct-release": (*_K, _RETENTION),
    "mediated-release": (
        *_K,
        Limit(
            "origin_t",
            "number",
            "  A guess at a row's provider is right at most the largest provider's share plus origin_t.\n"
            "  How far may the mix of providers in a group differ from the whole table's (0 to 1)",
            0.2,
            within=SHARE,
        ),
        Limit(
            "linked_by",
            {
                "mediator": "the mediator, by tokens; it learns who is at which providers",
                NOBODY: "duplicates stay, and nobody learns that",
            },
            "  Who removes people's duplicates across providers?",
            NOBODY,
        ),
        _RETENTION,
    ),
    "validation": (
        Limit(
            "mode",
            {
                "linked": "the ML party has the features and ids, the provider the labels",
                "hosted": "the provider has both; the ML party's model runs beside them, for it to see",
            },
            "  Who has the features?",
            "linked",
        ),
        _EPSILON,
        _DELTA,
        Limit(
            "minimum_group",
            "count",
            "  The smallest group of records that a question may be about",
            10,
            modes=("linked",),
            within=Range(1),
        ),
        _QUERIES,
        _RETENTION,
    ),
    "blind-validation": (
        Limit(
            "mode",
            {
                "linked": "it gets padded labels only, which are random numbers to it",
                "entrusted": "it holds the labels themselves; every provider has to allow that",
            },
            "  What does the mediator hold?",
            "linked",
        ),
        _EPSILON,
        _DELTA,
        Limit(
            "minimum_group",
            "count",
            "  The smallest group of records that a question may be about",
            10,
            within=Range(1),
        ),
        _QUERIES,
        Limit(
            "groups_per_record",
            "count",
            "  In how many groups may one record be, over all answers",
            64,
            within=Range(1),
        ),
        Limit(
            "providers_per_record", "count", "  At how many providers may one record be", 1, within=Range(1)
        ),
        _RETENTION,
    ),
    "federated": (
        _EPSILON,
        _DELTA,
        Limit(
            "threshold",
            "count",
            "  Providers add up under masks. How many have to stay for a sum to open (the others may\n"
            "  drop out; more than half of them, and the lower it is the more noise each one adds)",
            3,
            within=Range(2),
        ),
        Limit(
            "colluders",
            "count",
            "  How many of them may work with the ML party without seeing another one's part\n"
            "  (below twice the number that stays less the number of providers; each costs noise)",
            1,
        ),
        Limit("rounds", "count", "  At most how many sums may be opened", 9, within=Range(1)),
        _RETENTION,
    ),
    "homomorphic": (
        Limit(
            "scheme",
            {"ckks": "the ML party scores rows that it cannot read, with a model that it does not show"},
            "  What is computed on ciphertexts?",
            "ckks",
        ),
        Limit(
            "queries",
            "count",
            "  Each row that is scored tells something of the model; a few more rows than columns tell all.\n"
            "  How many rows may each provider have scored",
            100,
            within=Range(1),
        ),
        Limit(
            "score_error",
            "number",
            "  By how much are scores to be off at least, to tell less of it; empty: as little as possible",
            optional=True,
            within=Range(0, 512),
        ),
        _RETENTION,
    ),
    # programs are approved one by one, by a steward's entry in the ledger
    "clean-room": (
        _EPSILON,
        _DELTA,
        Limit(
            "queries",
            "count",
            "  The ML party's programs run beside the data, each after a steward has read it. How many runs",
            10,
            within=Range(1),
        ),
        _RETENTION,
    ),
}
"""In the order in which they are asked; `frame` is asked by `agree_draft`, which reads the ids."""
