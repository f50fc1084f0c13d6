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
from comity.validate.arguments import binary, finite_scores
from comity.validate.frame import Frame
from comity.validate.mechanism import NoisySums, Price, answer, calibrate, noise_multiplier
from comity.validate.metrics import ask_for
from comity.validate.monitor import Monitor
from comity.validate.queries import Query
from comity.validate.request import ScoreStatistics

if TYPE_CHECKING:
    from comity.ledger import Cost, Ledger, Remaining
    from comity.validate.ladder import Comparisons, Ladder

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

    def comparisons(self, epsilon: float, *, yeses: int = 1) -> Comparisons:
        """Open questions of the kind "is B better than A?", for a fraction of what measuring them costs.

        Args:
            epsilon: the price of all of them together, charged now.
            yeses: how many may be answered with yes; any number with no.

        Raises:
            BudgetRefused: if too little is left; nothing was charged.
        """
        from comity.validate.ladder import Comparisons

        cost = self._account.charge_pure(epsilon, f"comparisons, until {yeses} are answered with yes")
        return Comparisons(self._frame, self._more_right, epsilon, yeses=yeses, cost=cost)

    def ladder(self, epsilon: float, *, step: float | None = None, climbs: int = 5) -> Ladder:
        """Open a leaderboard that many adaptive submissions cannot overfit.

        Args:
            epsilon: the price of all submissions together, charged now.
            step: by how much a submission has to beat the best one to be told; None: as the noise asks for.
            climbs: how many submissions may be told.

        Raises:
            BudgetRefused: if too little is left; nothing was charged.
        """
        from comity.validate.ladder import Ladder

        cost = self._account.charge_pure(epsilon, f"a ladder of at most {climbs} climbs")
        return Ladder(len(self), self._more_right, epsilon, step=step, climbs=climbs, cost=cost)

    def _more_right(
        self, places: NDArray[np.int64], mine: NDArray[np.bool_], theirs: NDArray[np.bool_] | None
    ) -> int:
        """How many labels `mine` predicts right, less how many `theirs` does. Private: it is exact."""
        labels = self._labels[places] == 1
        right = int((mine == labels).sum())
        return right if theirs is None else right - int((theirs == labels).sum())

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


def _over_frame(query: Query, places: NDArray[np.int64], records: int) -> list[NDArray[np.int64]]:
    """The query's groupings, over the whole frame."""
    groupings = []
    for groups in query.groupings():
        numbers = np.full(records, -1, dtype=np.int64)
        numbers[places] = groups
        groupings.append(numbers)
    return groupings
