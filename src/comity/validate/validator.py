"""LocalValidator: the provider's end of linked validation, in the provider's own process.

The ML party knows features and ids, the validator the labels. An answer is a sum over many labels with
noise; its unit is one label (`change-one`), and it says nothing about who is in the table. The order is
always: check what is public -> charge -> read the labels.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, BadTable, ClauseRefused, UsageError
from comity.validate.account import LabelAccount
from comity.validate.frame import Frame
from comity.validate.mechanism import NoisySums, Price, answer, calibrate, noise_multiplier
from comity.validate.metrics import ask_for
from comity.validate.monitor import Monitor
from comity.validate.queries import Query
from comity.validate.request import ScoreStatistics

if TYPE_CHECKING:
    from comity.ledger import Cost, Ledger, Remaining

_DEFAULT_METRICS = ("auc", "calibration", "confusion")


@dataclass(frozen=True)
class Feedback:
    """The answer to a question about scores.

    Attributes:
        estimates: by metric (see `metrics.Question.read`).
        intervals: by metric, 95% intervals (low, high) that cover what the labels held would give exactly.
        cost: what it was charged: unit label, relation change-one.
        left: what one more answer may cost.
        groups: public facts about the groups asked about: sizes, score edges, mean scores.
    """

    estimates: Mapping[str, Any]
    intervals: Mapping[str, Any]
    cost: Cost
    left: Remaining
    groups: Mapping[str, Any]


class LocalValidator:
    """Holds labels and answers questions about groups of records, never about one.

    Args:
        ids: one per record, whole numbers or strings, each once.
        labels: (records,) 0 or 1.
        epsilon, delta: what all answers together may cost, for a change of one label. delta 0 gives Laplace
            noise and no learning.
        minimum: least number of records in a group that is asked about.

    Raises:
        BadTable: for labels other than 0 and 1 or of another number than ids (private to the holder).
        BadInput: for ids given twice.
        UsageError: for epsilon, delta or minimum out of range.

    Thread-safe. Copies are the same validator: `sklearn.clone` doubles no budget. It cannot be pickled.
    """

    def __init__(
        self,
        ids: Iterable[Any],
        labels: Iterable[Any],
        epsilon: float = 1.0,
        delta: float = 1e-6,
        *,
        minimum: int = 10,
    ) -> None:
        self._frame = Frame(ids)
        self._labels = binary(labels)
        if len(self._labels) != len(self._frame):
            raise BadTable(f"{len(self._frame)} ids came with {len(self._labels)} labels: one each is needed")
        self._account = LabelAccount(float(epsilon), float(delta))
        self.monitor = Monitor(self._frame, minimum=minimum)
        self._lock = threading.Lock()

    @property
    def ids(self) -> NDArray[Any]:
        """The ids of the frame, known to both ends."""
        return self._frame.ids

    @property
    def frame(self) -> Frame:
        return self._frame

    @property
    def ledger(self) -> Ledger:
        """The in-memory ledger of what was charged and refused."""
        return self._account.ledger

    @property
    def delta(self) -> float:
        return self._account.delta

    def __len__(self) -> int:
        return len(self._frame)

    def __repr__(self) -> str:
        left = self.remaining()
        return f"LocalValidator({len(self)} records, left: {left.words()})"

    def remaining(self) -> Remaining:
        """What one more answer may cost."""
        return self._account.remaining()

    def feedback(
        self,
        ids: Iterable[Any],
        scores: Iterable[Any],
        metrics: Sequence[str] = _DEFAULT_METRICS,
        epsilon: float | None = None,
        *,
        threshold: float | None = None,
    ) -> Feedback:
        """How well scores predict the labels.

        Args:
            ids: of the records scored, each in the frame and given once.
            scores: one finite number each; larger means more likely 1.
            metrics: out of `metrics.METRICS`.
            epsilon: of this answer by itself; None: all that is left.
            threshold: scores at or above it predict 1; None: 0.5 for scores between 0 and 1, else 0.

        Raises:
            BadInput: for ids that are not in the frame or given twice, and scores that are not finite.
            UsageError: for unknown metrics, or scores that a metric cannot use.
            ClauseRefused: if a group is below the minimum, or earlier answers and this one together would
                single out records.
            BudgetRefused: if too little is left. Nothing was charged in any of these cases.
        """
        places = self._frame.places(ids)
        numbers = finite_scores(scores, len(places))
        wanted = (metrics,) if isinstance(metrics, str) else tuple(metrics)
        question = ask_for(numbers, wanted, threshold=threshold, minimum=self.monitor.minimum)
        noisy, price = self._answered(
            places, question.query, epsilon, f"feedback: {', '.join(wanted)} of {len(places)} records"
        )
        estimates, intervals = question.read(noisy)
        return Feedback(estimates, intervals, price.cost, self.remaining(), dict(question.facts))

    def statistics(self, ids: Iterable[Any], query: Query, epsilon: float | None = None) -> NoisySums:
        """The noisy sums that a query asks for; what a learner uses.

        Args:
            ids: of the records that the query's rows are about, in its order.
            query: rows, norms and bins are checked here; nobody takes the asker's word for them.
            epsilon: of this answer by itself; None: all that is left.

        Raises:
            as `feedback`.
        """
        return self.statistics_at_cost(ids, query, epsilon)[0]

    def statistics_at_cost(
        self, ids: Iterable[Any], query: Query, epsilon: float | None = None
    ) -> tuple[NoisySums, Cost]:
        """`statistics`, and what they were charged."""
        places = self._frame.places(ids)
        if query.rows != len(places):
            raise BadInput(f"the query is about {query.rows} records, {len(places)} ids came with it")
        purpose = f"{query.dimensions} sums over {len(places)} records"
        noisy, price = self._answered(places, query, epsilon, purpose)
        return noisy, price.cost

    def noise_multiplier(self, epsilon: float | None = None) -> float:
        """Standard deviation of the noise over the sensitivity that an answer at this epsilon would have.

        Raises:
            BudgetRefused: if nothing is left.
            UsageError: if the validator gives Laplace noise.
        """
        return noise_multiplier(self._account.price(epsilon))

    def _answered(
        self, places: NDArray[np.int64], query: Query, epsilon: float | None, purpose: str
    ) -> tuple[NoisySums, Price]:
        """Check -> charge -> run."""
        with self._lock:
            check_bins(query, self.monitor.minimum)
            # sums and noise must fit whatever is left: the noise of the whole budget is the smallest there is
            calibrate(query, Price(self._account.epsilon, self._account.delta))
            self.monitor.admit_all(_over_frame(query, places, len(self._frame)))
            price = self._account.charge(epsilon, purpose)
        return answer(query, self._labels[places], price), price

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise UsageError("a validator holds labels and a budget: it is not pickled and leaves no process")


def check_bins(query: Query, minimum: int) -> None:
    """Refuse a learner's query that asks about bins with few records; public facts only.

    Raises:
        ClauseRefused: naming how many bins are too small.
    """
    if not isinstance(query, ScoreStatistics):
        return
    counts = np.concatenate(query.bin_counts())
    small = (counts > 0) & (counts < minimum)
    if small.any():
        raise ClauseRefused(
            f"{int(small.sum())} bins have fewer than {minimum} records",
            clause="architectures.validation.minimum_group",
            asked=f"a bin of {int(counts[small].min())}",
            would_pass=f"bins merged until each has {minimum} records or none",
        )


def binary(labels: Iterable[Any]) -> NDArray[np.int8]:
    """Labels 0 and 1 as int8.

    Raises:
        BadTable: for anything else; the message is private to the holder.
    """
    values = np.asarray(
        labels if hasattr(labels, "__array__") or isinstance(labels, list | tuple) else list(labels)
    )
    if values.ndim != 1:
        raise BadTable(f"labels are one number per record, not {values.ndim} dimensions")
    if values.dtype.kind == "O" and all(
        isinstance(value, int | float | np.number) for value in values.tolist()
    ):
        values = values.astype(np.float64)
    if values.dtype.kind not in "biuf":
        raise BadTable("labels are 0 or 1: map the positive class to 1 and the other to 0 first")
    wrong = np.flatnonzero((values != 0) & (values != 1))
    if len(wrong):
        raise BadTable(
            f"{len(wrong)} labels are neither 0 nor 1, the first at place {wrong[0]}: {values[wrong[0]]!r}"
        )
    return values.astype(np.int8)


def finite_scores(scores: Iterable[Any], count: int) -> NDArray[np.float64]:
    """(count,) scores as floats.

    Raises:
        BadInput: for another number of scores, and for NaN and infinities.
    """
    values = np.asarray(
        scores if hasattr(scores, "__array__") or isinstance(scores, list | tuple) else list(scores)
    )
    if values.ndim != 1:
        raise BadInput("scores are one number per record; of predict_proba take the column of class 1")
    if values.dtype.kind not in "biuf":
        raise BadInput(f"scores are numbers, not {values.dtype}")
    if len(values) != count:
        raise BadInput(f"{count} ids came with {len(values)} scores: one each is needed")
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise BadInput(
            f"{len(wrong)} scores are not finite, the first at place {wrong[0]}: {values[wrong[0]]!r}"
        )
    return values.astype(np.float64)


def _over_frame(query: Query, places: NDArray[np.int64], records: int) -> list[NDArray[np.int64]]:
    """The query's groupings, over the whole frame."""
    groupings = []
    for groups in query.groupings():
        numbers = np.full(records, -1, dtype=np.int64)
        numbers[places] = groups
        groupings.append(numbers)
    return groupings
