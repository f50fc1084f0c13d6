"""What `anonymize` is asked for, checked before any row is read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
        if not 0 <= suppression_limit <= 1:
            raise UsageError(
                f"suppression_limit is {suppression_limit}: it is a share of the rows, from 0 to 1"
            )
        if method not in METHODS:
            raise UsageError(f"method is {method!r}: it is one of {', '.join(METHODS)}")
        if aggregate not in AGGREGATES:
            raise UsageError(f"aggregate is {aggregate!r}: it is one of {', '.join(AGGREGATES)}")
        limits = dict(level_limits or {})
        for name in limits:
            if name not in quasi_identifiers:
                raise UsageError(f"level_limits names '{name}', which is no quasi-identifier")
        found = cls(
            quasi_identifiers=dict(quasi_identifiers),
            models=_checked_models(require, quasi_identifiers),
            suppression_limit=suppression_limit,
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


def _require_hierarchies(quasi_identifiers: Mapping[str, Hierarchy]) -> None:
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
