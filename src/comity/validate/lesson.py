"""What the learners' lessons have in common: whom to ask about which records, and adding up the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, UsageError
from comity.validate.bins import features_table
from comity.validate.frame import id_array
from comity.validate.queries import Query
from comity.validate.validator import LocalValidator

if TYPE_CHECKING:
    from comity.data.table import Table
    from comity.ledger import Cost

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pupils:
    """The records of a lesson, and who answers about each.

    Attributes:
        table: their features.
        ids: (records,) their ids.
        validators: all of them, in the order given.
        holders: (records,) the place in `validators` of the one that holds each record.
    """

    table: Table
    ids: NDArray[Any]
    validators: tuple[LocalValidator, ...]
    holders: NDArray[np.int64]

    @property
    def minimum(self) -> int:
        """The largest of the validators' minimum groups."""
        return max(validator.monitor.minimum for validator in self.validators)

    def noise(self, epsilon: float | None) -> float:
        """Deviation of the noise of all answers together, over one record's largest part of them."""
        asked = [each for at, each in enumerate(self.validators) if (self.holders == at).any()]
        return float(np.sqrt(sum(each.noise_multiplier(epsilon) ** 2 for each in asked)))

    def answers(
        self, query: Callable[[LocalValidator, NDArray[np.int64]], Query], epsilon: float | None
    ) -> tuple[Floats, float, list[Cost]]:
        """Ask every validator about its own records, with all queries in one unit.

        Args:
            query: of a validator, and the places of its records.
            epsilon: of the answer at every validator; None: all that is left there.

        Returns:
            The sums added up, the deviation of their noise, and what each validator asked charged.
        """
        sums, variance, costs = np.zeros(0), 0.0, []
        for at, validator in enumerate(self.validators):
            own = np.flatnonzero(self.holders == at)
            if len(own):
                told, cost = validator.statistics_at_cost(self.ids[own], query(validator, own), epsilon)
                sums = sums + told.values if len(sums) else told.values
                variance += told.deviation**2
                costs.append(cost)
        return sums, float(np.sqrt(variance)), costs


def pupils(X: Any, ids: Iterable[Any], validators: Sequence[LocalValidator]) -> Pupils:
    """Check features and ids.

    Raises:
        BadInput: for no records, ids that no validator or several hold, are given twice, or do not match.
    """
    table = features_table(X)
    frame_ids = id_array(ids, "the features")
    if len(frame_ids) != table.rows:
        raise BadInput(f"{table.rows} rows of features came with {len(frame_ids)} ids: one each is needed")
    if table.rows == 0:
        raise BadInput("there is no record to learn from")
    return Pupils(table, frame_ids, tuple(validators), _holders(validators, frame_ids))


def listed(validator: Any, kind: str, example: str) -> list[LocalValidator]:
    """One validator, or several, as a list.

    Raises:
        UsageError: for anything else, naming the learner (`kind`) and an `example` of what it takes.
    """
    several = list(validator) if isinstance(validator, list | tuple) else [validator]
    if not several or not all(isinstance(one, LocalValidator) for one in several):
        raise UsageError(f"{kind} learns from one LocalValidator or several: pass validator={example}")
    return several


def note_features(model: Any, X: Any, table: Table) -> None:
    """Set scikit-learn's attributes about the features that a model was fitted on."""
    model.n_features_in_ = len(table.names)
    if not isinstance(X, np.ndarray | list | tuple):
        model.feature_names_in_ = np.array(table.names, dtype=object)


def same_features(model: Any, X: Any) -> Table:
    """Features to predict for, as a table.

    Raises:
        ValueError: if there are more or fewer columns than the model was fitted on.
    """
    table = features_table(X)
    if getattr(model, "feature_names_in_", None) is None and len(table.names) != model.n_features_in_:
        raise ValueError(
            f"X has {len(table.names)} features, but {type(model).__name__} is expecting "
            f"{model.n_features_in_} features as input"
        )
    return table


def _holders(validators: Sequence[LocalValidator], ids: NDArray[Any]) -> NDArray[np.int64]:
    """(records,) which validator holds each record."""
    holders = np.full(len(ids), -1, dtype=np.int64)
    for at, validator in enumerate(validators):
        held = validator.frame.find(ids) >= 0
        if (held & (holders >= 0)).any():
            place = int(np.flatnonzero(held & (holders >= 0))[0])
            raise BadInput(f"the record {ids[place]!r} is held by two validators: give each its own ids")
        holders[held] = at
    missing = np.flatnonzero(holders < 0)
    if len(missing):
        raise BadInput(
            f"{len(missing)} records are in no validator's frame, the first at place {missing[0]}: "
            f"{ids[missing[0]]!r}; leave them out"
        )
    return holders
