"""HostedValidator: a provider's end of hosted validation, in process, for models of any target.

The provider holds table, labels and ledger; what comes in is a model as ONNX. It is checked and tried on
made-up rows, the charge is made, it runs in the sandbox, and noisy sums become metrics
(`hosted.HostedQuestion` for two values, `hosted_classes` for several, `hosted_errors` for numbers). The same
question about the same model at the same epsilon gets the same answer again, for nothing.

Unit: record, or person where the schema's unit names a column (at most `max_rows` rows of each count).
Relation: add-remove. Groups come from declared levels and are never refused by size.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.data.frames import frame_to_arrow
from comity.data.labels import binary_labels
from comity.data.table import Table
from comity.errors import BadInput, BudgetRefused, UsageError
from comity.ledger import Budget, Cost, Ledger, Relation, approximate, gaussian, gaussian_noise_multiplier
from comity.schema import Schema
from comity.validate.account import require_within
from comity.validate.hosted import HostedPrice, HostedQuestion, HostedUnit
from comity.validate.hosted_classes import HostedClasses
from comity.validate.hosted_errors import HostedErrors
from comity.validate.hosted_estimate import Estimate
from comity.validate.hosted_groups import HostedGroups
from comity.validate.hosted_model import HostedFeatures, scores, try_model
from comity.validate.hosted_target import BINARY, HostedTarget
from comity.validate.mechanism import NoisySums, Price, calibrate, noised
from comity.validate.parameters import a_name, a_number, a_place, an_epsilon, shown

Floats = NDArray[np.float64]

_BINS: Final = 20


@dataclass(frozen=True)
class HostedAnswer:
    """Feedback about one model.

    Attributes:
        metrics: by name, with 95% intervals for the noise.
        by_group: the same for each level of the column asked by, and for all other values together.
        cost: what was charged; None for an answer given before.
        left: what one more answer may cost, in words.
    """

    metrics: Mapping[str, Estimate]
    by_group: Mapping[str, Mapping[str, Estimate]]
    cost: Cost | None
    left: str


class HostedValidator:
    """Feedback about models that run beside the data.

    Args:
        rows: the table, with the target and the unit's column: a frame that narwhals reads, or a `Table`.
        schema: bounds and levels of features and target, public by agreement; and the unit.
        target: the target column.
        positive: the value that counts as 1; None: the schema says which classes or bounds there are.
        epsilon, delta: of everything that is ever answered, per unit.
        ledger: its path or URL; in memory by default.

    Raises:
        BadSchema: naming columns without public bounds or levels.
    """

    def __init__(
        self,
        rows: Any,
        schema: Schema,
        target: str,
        *,
        positive: str | None = None,
        epsilon: float,
        delta: float = 1e-6,
        ledger: str | Path = ":memory:",
    ) -> None:
        epsilon, delta = an_epsilon(epsilon), a_number(delta, "delta", least=0)
        Price(epsilon, delta)
        if not delta > 0:
            raise UsageError("hosted feedback adds Gaussian noise, which takes a delta above 0")
        if not isinstance(schema, Schema):
            raise UsageError(f"schema is a comity.schema.Schema, not {shown(schema)}")
        positive = None if positive is None else a_name(positive, "positive, a value of the target,")
        if a_name(target, "target") not in schema.columns:
            raise UsageError(f"the target '{target}' is no column of the schema")
        a_place(ledger, "ledger")
        self.schema, self.target, self.positive = schema, target, positive
        self.unit = HostedUnit.of(schema.unit)
        names = [name for name in schema.features if name not in (target, self.unit.column)]
        self.features = HostedFeatures.of(schema, names)
        self.kind = BINARY if positive is not None else HostedTarget.of(schema[target], name=f"'{target}'")
        self.epsilon, self.delta = epsilon, delta
        self._table = self._kept(rows if isinstance(rows, Table) else Table(frame_to_arrow(rows)[0]))
        self._labels = self._read_labels()
        self._account = f"local/default/{self.unit.unit}"
        self.ledger = Ledger.open(ledger)
        self._opened = self._account in {str(account) for account in self.ledger.accounts()}
        self._answers: dict[str, NoisySums] = {}
        self._lock = threading.Lock()

    def feedback(self, model: bytes, *, by: str | None = None, epsilon: float | None = None) -> HostedAnswer:
        """Metrics of a model, as ONNX.

        Args:
            model: takes what `HostedFeatures` describes; gives a score, a chance per class, or a number.
            by: a column with declared levels, to have the metrics of each level too.
            epsilon: of this answer by itself; None: all that is left.

        Raises:
            BadInput: for a model or column that cannot be used; nothing was charged.
            BudgetRefused: if too little is left; nothing was charged or read.
        """
        epsilon = None if epsilon is None else an_epsilon(epsilon)
        by = None if by is None else a_name(by, "by, a column,")
        if not isinstance(model, bytes):
            raise BadInput(f"a model comes as the bytes of an ONNX file, not {shown(model)}")
        if epsilon is not None:
            require_within(epsilon, self.epsilon, self._account)
        question = self._question(by)
        key = hashlib.sha256(repr((question, epsilon)).encode() + hashlib.sha256(model).digest()).hexdigest()
        with self._lock:
            if key not in self._answers:
                try_model(model, self.features, self.kind)
                cost, multiplier = self._charge(epsilon, question.dimensions)
                self._answers[key] = self._answer(model, question, multiplier)
            else:
                cost = None
            left = self.ledger.remaining(self._account).words()
        told = question.read(self._answers[key])
        if isinstance(told, dict):
            metrics = told.pop("all")
            return HostedAnswer(metrics, told, cost, left)
        return HostedAnswer(told.metrics, told.by_group, cost, left)

    def _kept(self, table: Table) -> Table:
        """The rows that count: at most so many of a person."""
        for name in (*self.features.names, self.target, *([self.unit.column] if self.unit.column else [])):
            if name not in table.names:
                raise BadInput(f"the table has no column '{name}', which the schema names")
        if self.unit.column is None:
            return table
        codes, levels = table.levels(self.unit.column)
        return table.take(self.unit.kept([levels[code] if code >= 0 else None for code in codes]))

    def _read_labels(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """(rows,) labels, and the places of the rows that have one: the others count as absent."""
        if self.positive is not None:
            labels = binary_labels(self._table, self.target, self.positive).values
            return labels, np.arange(len(labels))
        labels, known = self.kind.labels(self._table, self.target)
        return labels, np.flatnonzero(known)

    def _question(self, by: str | None) -> HostedQuestion | HostedClasses | HostedErrors:
        groups = HostedGroups.of(self.schema, by)
        if self.positive is not None:
            edges = tuple(at / _BINS for at in range(1, _BINS))
            return HostedQuestion(edges, groups.column, groups.levels)
        if self.kind.numeric:
            return HostedErrors(self.kind.low, self.kind.high, groups)
        return HostedClasses(self.kind.classes, groups=groups)

    def _charge(self, epsilon: float | None, dimensions: int) -> tuple[Cost, float]:
        """Charge an answer, and say how much noise over its sensitivity pays for it.

        A first answer that takes everything is charged as a whole, others by their Renyi curves.
        """
        unit, relation = self.unit.unit, Relation.add_remove
        if not self._opened and (epsilon is None or epsilon == self.epsilon):
            multiplier = HostedPrice(self.epsilon, self.delta, self.unit, dimensions).multiplier
            cost = approximate(self.epsilon, self.delta, unit=unit, relation=relation)
            self._open(self.delta)
        else:
            self._open(None)
            left = self.ledger.remaining(self._account)
            multiplier = left.gaussian if epsilon is None else gaussian_noise_multiplier(epsilon, self.delta)
            if not math.isfinite(multiplier):
                raise BudgetRefused(
                    "the budget is spent, for the data's lifetime",
                    clause=f"account {self._account}",
                    asked="all that is left",
                    left=left.words(),
                    would_pass="nothing more",
                )
            cost = gaussian(multiplier, unit=unit, relation=relation)
        self.ledger.charge(cost, account=self._account, purpose="feedback about a hosted model")
        return cost, multiplier

    def _open(self, additive: float | None) -> None:
        if not self._opened:
            budget = Budget(self.epsilon, self.delta, delta_additive=additive, relation=Relation.add_remove)
            self.ledger.open_account(self._account, budget)
            self._opened = True

    def _answer(
        self, model: bytes, question: HostedQuestion | HostedClasses | HostedErrors, multiplier: float
    ) -> NoisySums:
        """Run the model and add the noise. After the charge."""
        given = scores(model, self.features.matrix(self._table), self.kind)
        labels, places = self._labels
        column = question.column if isinstance(question, HostedQuestion) else question.groups.column
        values = None if column is None else self._table.take(places).strings(column)
        counted = question.counts if isinstance(question, HostedQuestion) else question.sums
        exact = counted(given[places], labels[places], values)
        sizes = self.unit.sizes(question.sizes)
        calibration = calibrate(sizes, Price(self.epsilon, self.delta, multiplier))
        return noised(exact, calibration)
