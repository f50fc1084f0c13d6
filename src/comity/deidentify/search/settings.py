"""What `anonymize` is asked for, checked before any row is read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Rational, Real
from typing import Any

from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.deidentify.models.class_models import PrivacyModel, exact
from comity.deidentify.models.population import with_names
from comity.deidentify.search.loss import AGGREGATES, whole_weights
from comity.deidentify.search.tuples import Tuples
from comity.errors import UsageError

METHODS = ("global", "local")


@dataclass(frozen=True)
class Settings:
    """Arguments of `anonymize` that say nothing about where the table is.

    Attributes:
        weights: per quasi-identifier, a whole number (`loss.whole_weights`).
    """

    quasi_identifiers: Mapping[str, Hierarchy]
    models: tuple[PrivacyModel, ...]
    suppression_limit: float
    method: str
    aggregate: str
    level_limits: Mapping[str, tuple[int, int]]
    weights: tuple[int, ...]

    @classmethod
    def checked(
        cls,
        quasi_identifiers: Mapping[str, Hierarchy],
        require: Sequence[PrivacyModel],
        suppression_limit: float,
        method: str,
        aggregate: str,
        level_limits: Mapping[str, tuple[int, int]] | None,
        weights: Mapping[str, float] | None,
    ) -> Settings:
        """Settings that do not contradict each other.

        Raises:
            UsageError: if an argument is out of range or columns contradict each other.
        """
        _require_hierarchies(quasi_identifiers)
        limit = _share(suppression_limit)
        if weights is not None and not isinstance(weights, Mapping):
            raise UsageError(f"weights is {weights!r}: it gives a number by column, {{'age': 2}}")
        if method not in METHODS:
            raise UsageError(f"method is {method!r}: it is one of {', '.join(METHODS)}")
        if aggregate not in AGGREGATES:
            raise UsageError(f"aggregate is {aggregate!r}: it is one of {', '.join(AGGREGATES)}")
        limits = _pairs(level_limits, quasi_identifiers)
        found = cls(
            quasi_identifiers=dict(quasi_identifiers),
            models=_checked_models(require, quasi_identifiers),
            suppression_limit=limit,
            method=method,
            aggregate=aggregate,
            level_limits=limits,
            weights=whole_weights(list(quasi_identifiers), weights),
        )
        found.ranges(list(quasi_identifiers.values()))
        return found

    @property
    def names(self) -> list[str]:
        """The quasi-identifiers, in order."""
        return list(self.quasi_identifiers)

    @property
    def sensitive(self) -> list[str]:
        """The sensitive columns that the models look at."""
        return list(dict.fromkeys(model.sensitive for model in self.models if model.sensitive is not None))

    def limit(self, tuples: Tuples) -> int:
        """How many rows may be suppressed; rows that came in suppressed count nowhere."""
        return math.floor(exact(self.suppression_limit) * tuples.rows)

    def ranges(self, hierarchies: Sequence[Hierarchy]) -> list[tuple[int, int]]:
        """Per quasi-identifier, the lowest and highest level allowed."""
        ranges = []
        for name, hierarchy in zip(self.names, hierarchies, strict=True):
            low, high = self.level_limits.get(name, (0, hierarchy.levels - 1))
            if not 0 <= low <= high < hierarchy.levels:
                raise UsageError(
                    f"level_limits of '{name}' are {low} to {high}; its hierarchy has levels 0 to "
                    f"{hierarchy.levels - 1}"
                )
            ranges.append((low, high))
        return ranges

    def describe(self) -> str:
        """The models in words."""
        return "; ".join(model.describe() for model in self.models)


def _share(given: object) -> float:
    """A share of the rows; of numpy's numbers the decimal that they print, as of Python's."""
    share: Any = None
    if isinstance(given, (Real, Decimal)) and not isinstance(given, bool):
        share = given if isinstance(given, (Rational, Decimal)) else float(str(given))
    if share is not None and 0 <= share <= 1:
        return share
    raise UsageError(f"suppression_limit is {given!r}: it is a share of the rows, a number from 0 to 1")


def _pairs(
    given: Mapping[str, tuple[int, int]] | None, quasi_identifiers: Mapping[str, Hierarchy]
) -> dict[str, tuple[int, int]]:
    """Level limits as pairs of plain whole numbers."""
    if given is not None and not isinstance(given, Mapping):
        raise UsageError(f"level_limits is {given!r}: it gives a pair of levels by column, {{'age': (1, 2)}}")
    found = {}
    for name, pair in (given or {}).items():
        if name not in quasi_identifiers:
            raise UsageError(f"level_limits names '{name}', which is no quasi-identifier")
        ends: list[object] = list(pair) if isinstance(pair, (tuple, list)) else []
        whole = [int(end) for end in ends if isinstance(end, Integral) and not isinstance(end, bool)]
        if len(ends) != 2 or len(whole) != 2:
            raise UsageError(
                f"level_limits of '{name}' are {pair!r}: they are two whole numbers, the lowest and the "
                "highest level, (1, 2)"
            )
        found[name] = (whole[0], whole[1])
    return found


def _require_hierarchies(quasi_identifiers: Mapping[str, Hierarchy]) -> None:
    if not isinstance(quasi_identifiers, Mapping):
        raise UsageError(
            f"quasi_identifiers is a {type(quasi_identifiers).__name__}: it gives a Hierarchy by column, "
            "{'age': intervals(0, 99)}"
        )
    if not quasi_identifiers:
        raise UsageError("quasi_identifiers is empty: name the columns that could identify somebody")
    for name, hierarchy in quasi_identifiers.items():
        if not isinstance(hierarchy, Hierarchy):
            raise UsageError(
                f"quasi-identifier '{name}' comes with a {type(hierarchy).__name__}, not a Hierarchy"
            )


def _checked_models(
    require: Sequence[PrivacyModel], quasi_identifiers: Mapping[str, Hierarchy]
) -> tuple[PrivacyModel, ...]:
    if not isinstance(require, (list, tuple)):
        kind = type(require).__name__
        hint = f"write [{kind}(...)]" if isinstance(require, PrivacyModel) else "give a list"
        raise UsageError(f"require is a list of privacy models, not a {kind}: {hint}")
    models = tuple(require)
    if not models:
        raise UsageError("require is empty: name at least one privacy model, for example KAnonymity(5)")
    for model in models:
        if not isinstance(model, PrivacyModel):
            raise UsageError(f"{model!r} is no privacy model")
        if model.sensitive in quasi_identifiers:
            raise UsageError(
                f"column '{model.sensitive}' is both a quasi-identifier and sensitive: choose one"
            )
    return with_names(models, list(quasi_identifiers))
