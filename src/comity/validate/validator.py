"""LocalValidator: the provider's end of linked validation, in the provider's own process.

The ML party knows features and ids, the validator the labels. An answer is a sum over many labels with
noise; its unit is one label (`change-one`), and it says nothing about who is in the table. The order is
always: seen before? -> check what is public -> charge -> read the labels -> keep the answer.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, BadTable, ClauseRefused, UsageError
from comity.ledger import PrivacyUnit, Relation, pure
from comity.validate.account import LabelAccount
from comity.validate.answers import Answers, Asked, query_digest
from comity.validate.attributes import attribute_question
from comity.validate.checks import check_bins, check_weights, over_frame, taken
from comity.validate.feedback import Feedback
from comity.validate.frame import Frame, id_array
from comity.validate.groups import in_order_of_appearance, numbered_groups
from comity.validate.labels import BinaryLabels, NumberLabels, columns_coded, held, require_levels
from comity.validate.mechanism import NoisySums, Price, answer, calibrate, noise_multiplier
from comity.validate.monitor import Monitor
from comity.validate.parameters import a_count, a_name, a_number, a_place, an_epsilon, names, shown
from comity.validate.queries import Query

if TYPE_CHECKING:
    from comity.ledger import Cost, Ledger, Remaining
    from comity.validate.ladder import Comparisons, Ladder

_DEFAULT_METRICS = ("auc", "calibration", "confusion")


@dataclass(frozen=True, eq=False)
class _Answered:
    sums: NoisySums
    cost: Cost
    price: Price | None
    """None for an earlier answer."""


class LocalValidator:
    """Holds labels and answers questions about groups of records, never about one.

    Args:
        ids: one per record, whole numbers or strings, each once.
        labels: (records,) 0 or 1; or of `classes`; or numbers within `bounds`.
        epsilon, delta: what all answers together may cost, for a change of one label. delta 0 gives Laplace
            noise and no learning.
        minimum: least number of records in a group that is asked about.
        classes: the labels' classes, in order; None: 0 and 1.
        bounds: (low, high) of numeric labels; labels beyond them are held at them.
        columns: private columns that groups may be asked by (labels 0 and 1 only), by name. With them the
            unit is a record: its label and its values in these columns change together.
        domains: for each of the columns, its levels, declared without looking at the column.
        store: a path; the ledger is kept there, and account, answers, monitor and the day's counts hold
            across restarts. None: in memory.
        per_day: questions that one asker may ask in one day (UTC); None: any number.

    Raises:
        BadTable: for labels or columns that are not of the declared kind, or of another number than ids
            (private to the holder).
        BadInput: for ids given twice, and a store that is about other data.
        UsageError: for epsilon, delta, minimum or declarations out of range.
        BudgetRefused: if the store was founded with another budget.

    Thread-safe. Copies are the same validator: `sklearn.clone` doubles no budget. It cannot be pickled.
    Several processes on one machine may use a store, each with the same data: a question is charged once.
    """

    def __init__(
        self,
        ids: Iterable[Any],
        labels: Iterable[Any],
        epsilon: float = 1.0,
        delta: float = 1e-6,
        *,
        minimum: int = 10,
        classes: Sequence[Any] | None = None,
        bounds: tuple[float, float] | None = None,
        columns: Mapping[str, Iterable[Any]] | None = None,
        domains: Mapping[str, Sequence[Any]] | None = None,
        store: str | Path | None = None,
        per_day: int | None = None,
    ) -> None:
        place = ":memory:" if store is None else a_place(store, "store")
        per_day = None if per_day is None else a_count(per_day, "per_day, the questions of a day,")
        self._frame = Frame(ids)
        self.monitor = Monitor(self._frame, minimum=minimum)
        self._held = held(labels, classes, bounds)
        if len(self._held.codes) != len(self._frame):
            raise BadTable(
                f"{len(self._frame)} ids came with {len(self._held.codes)} labels: one each is needed"
            )
        declared = {} if columns is None else columns, {} if domains is None else domains
        self._columns = columns_coded(*declared, len(self._frame))
        if self._columns and not isinstance(self._held, BinaryLabels):
            raise UsageError("groups by a private column are for labels 0 and 1")
        unit = PrivacyUnit.record if self._columns else PrivacyUnit.label
        self._account = LabelAccount(epsilon, delta, place=place, unit=unit)
        folder = None if store is None else Path(f"{store}.groupings")
        self._answers = Answers(self._account.ledger, folder, per_day=per_day)
        self._answers.replay(self._frame, self._private(), self.monitor)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the store; what was answered is already on the disk."""
        self._account.ledger.close()

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

    @property
    def is_binary(self) -> bool:
        """Whether the labels are 0 and 1."""
        return isinstance(self._held, BinaryLabels)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Of numeric labels."""
        return self._held.bounds if isinstance(self._held, NumberLabels) else None

    @property
    def grid(self) -> int | None:
        """How many steps the grid of numeric labels has between the bounds."""
        return self._held.unit if isinstance(self._held, NumberLabels) else None

    def feedback(
        self,
        ids: Iterable[Any],
        scores: Iterable[Any],
        metrics: Sequence[str] | None = None,
        epsilon: float | None = None,
        *,
        threshold: float | None = None,
        groups: Iterable[Any] | None = None,
        by: str | None = None,
        asker: str = "ml_party",
    ) -> Feedback:
        """How well scores predict the labels.

        Args:
            ids: of the records scored, each in the frame and given once.
            scores: one finite number each; larger means more likely 1. With `classes`: (records, classes)
                scores, or (records,) predicted classes. With `bounds`: predictions.
            metrics: out of `metrics.METRICS`, `classes.CLASS_METRICS` or `regression.NUMBER_METRICS`; None:
                AUC, calibration and confusion, or all that predictions allow.
            epsilon: of this answer by itself; None: all that is left.
            threshold: scores at or above it predict 1; None: 0.5 for scores between 0 and 1, else 0.
            groups: (records,) a group's name for each record, None or NaN for none: every metric is told for
                every group, at the price of one answer.
            by: the name of one of the provider's columns: metrics out of `attributes.ATTRIBUTE_METRICS` are
                told for every level of its domain, none refused for its size.
            asker: who asks; the caps per day are for each.

        Raises:
            BadInput: for ids that are not in the frame or given twice, and scores that are not finite.
            UsageError: for unknown metrics, or scores that a metric cannot use.
            ClauseRefused: if a group is below the minimum, earlier answers and this one together would
                single out records, the question probes, or the day's cap is reached.
            BudgetRefused: if too little is left. Nothing was charged in any of these cases.
        """
        epsilon = None if epsilon is None else an_epsilon(epsilon)
        threshold = None if threshold is None else a_number(threshold, "threshold")
        asked = id_array(ids, "the question")
        places = None if self._frame.is_whole(asked) else self._frame.places(asked)
        records = len(asked)
        numbers = self._held.scores(scores, records)
        wanted = self._wanted(metrics, by)
        named = None if groups is None else numbered_groups(groups, records)
        if places is not None:
            # the same question in another order of the records is the same question
            order = np.argsort(places)
            places, numbers = places[order], taken(numbers, order)
            named = None if named is None else (named[0], named[1][order])
            places = None if records == len(self._frame) else places
        named = None if named is None else in_order_of_appearance(*named)
        question = self._question(numbers, wanted, threshold, named, by)
        purpose = f"feedback: {', '.join(wanted)} of {records} records"
        told = self._answered(places, question.query, epsilon, purpose, asker=asker, by=by)
        estimates, intervals = question.read(told.sums)
        left, facts = self.remaining(), dict(question.facts)
        if told.price is None:
            return Feedback(estimates, intervals, told.cost, left, facts, True, epsilon)
        own = told.price.epsilon, told.price.delta
        return Feedback(estimates, intervals, told.cost, left, facts, False, *own)

    def _question(
        self, scores: Any, wanted: tuple[str, ...], threshold: float | None, groups: Any, by: str | None
    ) -> Any:
        if by is None:
            return self._held.question(scores, wanted, threshold, self.monitor.minimum, groups)
        if groups is not None:
            raise UsageError("groups are the ML party's own or by a column, not both at once")
        if a_name(by, "by, a column,") not in self._columns:
            known = ", ".join(self._columns) or "none"
            raise UsageError(f"there is no column '{by}' to ask by; there are: {known}")
        return attribute_question(scores, self._columns[by][0], wanted, threshold)

    def _wanted(self, metrics: Sequence[str] | None, by: str | None) -> tuple[str, ...]:
        if metrics is not None:
            return names(metrics, "metrics")
        if isinstance(self._held, BinaryLabels):
            return _DEFAULT_METRICS if by is None else ("accuracy", "precision", "recall", "f1")
        return ("mae", "rmse", "r2") if isinstance(self._held, NumberLabels) else ("accuracy", "confusion")

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
        self, ids: Iterable[Any], query: Query, epsilon: float | None = None, *, asker: str = "ml_party"
    ) -> tuple[NoisySums, Cost]:
        """`statistics`, and what they were charged."""
        epsilon = None if epsilon is None else an_epsilon(epsilon)
        if not isinstance(query, Query):
            raise UsageError(f"a query is one of comity.validate, as GroupCounts, not {shown(query)}")
        asked = id_array(ids, "the question")
        places = None if self._frame.is_whole(asked) else self._frame.places(asked)
        if query.rows != len(asked):
            raise BadInput(f"the query is about {query.rows} records, {len(asked)} ids came with it")
        purpose = f"{query.dimensions} sums over {len(asked)} records"
        told = self._answered(places, query, epsilon, purpose, asker=asker)
        return told.sums, told.cost

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
            UsageError: for arguments out of range, or
            BudgetRefused: if too little is left; nothing was charged.
        """
        from comity.validate.ladder import Comparisons

        self._require_binary()
        opened = Comparisons(
            self._frame,
            self._more_right,
            epsilon,
            yeses=yeses,
            cost=self._account.pure_cost(epsilon),
            minimum=self.monitor.minimum,
        )
        self._charge_pure(epsilon, f"comparisons, until {yeses} are answered with yes")
        return opened

    def ladder(self, epsilon: float, *, step: float | None = None, climbs: int = 5) -> Ladder:
        """Open a leaderboard that many adaptive submissions cannot overfit.

        Args:
            epsilon: the price of all submissions together, charged now.
            step: by how much a submission has to beat the best one to be told; None: as the noise asks for.
            climbs: how many submissions may be told.

        Raises:
            UsageError: for arguments out of range, or
            BudgetRefused: if too little is left; nothing was charged.
        """
        from comity.validate.ladder import Ladder

        self._require_binary()
        cost = self._account.pure_cost(epsilon)
        opened = Ladder(len(self), self._more_right, epsilon, step=step, climbs=climbs, cost=cost)
        self._charge_pure(epsilon, f"a ladder of at most {climbs} climbs")
        return opened

    def _charge_pure(self, epsilon: float, purpose: str) -> None:
        """Charge what has been made, and so checked, and has told nothing yet."""
        with self._lock, self._answers.alone():
            self._account.charge_pure(epsilon, purpose)

    def _more_right(
        self, places: NDArray[np.int64], mine: NDArray[np.bool_], theirs: NDArray[np.bool_] | None
    ) -> int:
        """How many labels `mine` predicts right, less how many `theirs` does. Private: it is exact."""
        labels = self._held.codes[places] == 1
        right = int((mine == labels).sum())
        return right if theirs is None else right - int((theirs == labels).sum())

    def _require_binary(self) -> None:
        if not isinstance(self._held, BinaryLabels):
            raise UsageError("comparisons and ladders are for labels 0 and 1")

    def _answered(
        self,
        places: NDArray[np.int64] | None,
        query: Query,
        epsilon: float | None,
        purpose: str,
        *,
        asker: str,
        by: str | None = None,
    ) -> _Answered:
        """Seen before? -> check -> charge -> run -> keep, one question at a time."""
        a_name(asker, "asker")
        require_levels(query, self._held.levels if by is None else len(self._columns[by][0]) * 2)
        asked = Asked(query_digest((query, by), places, epsilon), asker, purpose)
        with self._lock, self._answers.alone():
            known = self._answers.kept(asked.digest)
            if known is not None:
                free = pure(0, unit=self._account.unit, relation=Relation.change_one)
                return _Answered(known, free, None)
            self._answers.require_room(asker)
            # sums and noise must fit whatever is left: the noise of the whole budget is the smallest there is
            calibrate(query, Price(self._account.epsilon, self._account.delta))
            try:
                check_bins(query, self.monitor.minimum)
                check_weights(query, self.monitor.minimum)
                groupings = over_frame(query, places, len(self._frame))
                self._account.price(epsilon)  # a question that cannot be paid for leaves no trace
                self.monitor.admit_all(groupings)
            except ClauseRefused as refusal:
                self._answers.note_refusal(asked, str(refusal))
                raise
            written = self._answers.keep_groupings(groupings)
            price = self._account.charge(epsilon, purpose)
            sums = answer(query, self._labels(places, by), price)
            self._answers.keep(asked, written, sums)
            return _Answered(sums, price.cost, price)

    def _labels(self, places: NDArray[np.int64] | None, by: str | None) -> NDArray[Any]:
        """What a query is about: the labels, or pairs of a column's level and the label."""
        codes = self._held.codes
        if by is not None:
            codes = self._columns[by][1].astype(np.int32) * 2 + codes
        return codes if places is None else codes[places]

    def _private(self) -> NDArray[Any]:
        """Labels and columns, of which a store remembers a digest."""
        every = [self._held.codes, *(codes for _, codes in self._columns.values())]
        return np.stack([one.astype(np.int32) for one in every]) if len(every) > 1 else every[0]

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            "a validator holds labels and a budget: it is not pickled and leaves no process. Pickle a model "
            "without it (model.set_params(validator=None)); another process opens a validator of its own "
            "over the same store="
        )
