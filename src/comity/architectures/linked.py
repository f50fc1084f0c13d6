"""What the ML party of Architecture 2 brings along: features and ids of the frame, a start model, bins.

The start model's scores are those of a baseline on the seed rows, corrected by what the same rows say through
the lesson's own prior (`comity.validate.opening`). The seed rows are the ML party's, and no label of a
provider is used: that costs nothing, and no question is asked about the bins that the opening reads by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from comity.architectures.definition import Seat, Task
from comity.architectures.models import fit_logistic, labels_of
from comity.data.encode import Encoder
from comity.data.rawmatrix import RawEncoder
from comity.data.table import Table
from comity.validate.bins import Columns, public_encoder
from comity.validate.coarsen import Layout, coarsened, merged
from comity.validate.design import tempered
from comity.validate.opening import opening
from comity.validate.prior import score_codes

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MOST_COLUMNS = 60
"""Feature columns that one question may be about: the monitor's work grows with the square of them."""


def linked_rows(seat: Seat, provider: str) -> tuple[pa.Table, list[str]]:
    """Ids and features of one provider's records, in the frame's order."""
    table = seat.table(f"linked-{provider}")
    ids: list[str] = table.column(seat.task.id).to_pylist()
    order = sorted(range(len(ids)), key=ids.__getitem__)
    return table.take(order), [ids[at] for at in order]


class StartModel:
    """What feedback improves: logistic regression on the seed rows, and what they say when read once more.

    Args:
        seat: of the ML party.
        together: features of all linked records: the opening's bins are theirs.
        minimum: records in a bin.
    """

    def __init__(self, seat: Seat, together: Table, minimum: int) -> None:
        rows = Table(seat.table("seed"))
        self._encoder = RawEncoder.from_features(rows, seat.task.schema, names=seat.task.features)
        labels = labels_of(rows.arrow, seat.task)
        self._model = fit_logistic(self._encoder.linear(rows), labels, seat.options.seed)
        self._bins = public_encoder(together.select(seat.task.features), minimum=minimum)
        self._opening = opening(
            Columns.of(self._bins, together), Columns.of(self._bins, rows), labels.astype(np.int64), minimum
        )

    def scores(self, table: Table) -> NDArray[np.float64]:
        """(rows,) log-odds."""
        baseline = self._model.decision_function(self._encoder.linear(table))
        return self._opening.scores(Columns.of(self._bins, table), baseline)


class FeatureBins:
    """Features as bins that every provider's monitor admits, beside the bins of the start model's score."""

    def __init__(self, encoder: Encoder, becomes: Sequence[NDArray[np.uint16]]) -> None:
        self._encoder = encoder
        self._becomes = becomes

    @classmethod
    def over(
        cls,
        together: Table,
        scores: NDArray[np.float64],
        holders: NDArray[np.int64],
        seat: Seat,
        minimum: int,
    ) -> FeatureBins:
        """From all linked features, which are public to the ML party; no label is used.

        Args:
            holders: (rows,) whose monitor sees each record, from 0 on.
            minimum: the smallest group that the monitors let pass.
        """
        names = _most_telling(together, seat.task, scores)
        encoder = public_encoder(together.select(names), minimum=minimum)
        own, width, _ = score_codes(tempered(scores))
        codes = np.column_stack([encoder.codes(together), own.astype(np.uint16)])
        layout = Layout(
            widths=(*(int(each) for each in encoder.widths), width),
            ordered=(*encoder.ordered, True),
            fixed=codes.shape[1] - 1,
        )
        frames = [codes[holders == at] for at in range(int(holders.max(initial=0)) + 1)]
        return cls(encoder, coarsened(frames, layout, minimum)[:-1])

    def columns(self, table: Table) -> Columns:
        coded = Columns.of(self._encoder, table)
        return Columns(merged(coded.codes, self._becomes), coded.widths, coded.ordered)


def _most_telling(table: Table, task: Task, scores: NDArray[np.float64]) -> list[str]:
    """The features to ask about: all, or those by which the start model's score varies most.

    The monitor's work grows with the square of the number of columns.
    """
    if len(task.features) <= MOST_COLUMNS:
        return list(task.features)
    told: dict[str, float] = {}
    for name in task.features:
        codes = public_encoder(table.select([name])).codes(table)[:, 0].astype(np.int64)
        counts = np.maximum(np.bincount(codes), 1)
        means = np.bincount(codes, weights=scores - scores.mean()) / counts
        told[name] = float((counts * means**2).sum())
    best = set(sorted(told, key=lambda name: -told[name])[:MOST_COLUMNS])
    return [name for name in task.features if name in best]
