"""What a release is still good for, measured against the table that it was made from.

It reads raw rows: for the provider's steward only, and no part of the manifest that leaves (see `manifest`).

Measures: the loss of DESIGN.md; discernibility (Bayardo and Agrawal 2005); average class size (LeFevre et al.
2006); non-uniform entropy (de Waal and Willenborg 1999, as ARX uses it); distances of each column's
distribution; and what a model keeps: trained on the released cells of some rows, tested on the raw cells of
others, against the same model trained on the raw cells of the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.data.classes import equivalence_classes
from comity.deidentify.generalise import Anonymized
from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.deidentify.release.expand import SoftColumn
from comity.deidentify.search.frames import Frame
from comity.deidentify.search.tuples import leaves_of
from comity.deidentify.utility.cells import place_at, shown_places
from comity.deidentify.utility.model_utility import ModelUtility, model_utility


@dataclass(frozen=True)
class ColumnUtility:
    """One quasi-identifier. All but `level` lie in [0, 1]; 0 is nothing lost.

    Attributes:
        level: its level; None where levels differ by row. `levels` is how many its hierarchy has.
        loss: its own loss, suppressed rows as DESIGN.md counts them.
        entropy: share of the column's information that is lost (non-uniform entropy).
        total_variation: between the source's values and the released cells spread over what they cover.
        earth_mover: the same by rank, over the number of values less one; None for columns without order.
        generalised: share of the released rows that do not show the value itself.
    """

    level: int | None
    levels: int
    loss: float
    entropy: float
    total_variation: float
    earth_mover: float | None
    generalised: float

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Utility:
    """Utility of a release.

    Attributes:
        rows, suppressed, classes: of the source table, of them left out, and classes released.
        loss: of DESIGN.md, in [0, 1].
        discernibility: sum over classes of rows squared, plus rows times suppressed rows.
        average_class_size: released rows per class; `class_size_ratio` is that over k, 1 at best.
        entropy: mean of the columns' share of information lost.
        columns: per quasi-identifier.
        model: what a model keeps; None where there is no target with two values. `model_note` says why.
    """

    rows: int
    suppressed: int
    classes: int
    loss: float
    discernibility: int
    average_class_size: float
    class_size_ratio: float | None
    entropy: float
    columns: Mapping[str, ColumnUtility]
    model: ModelUtility | None
    model_note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        body = {name: getattr(self, name) for name in self.__dataclass_fields__}
        columns = {name: column.to_dict() for name, column in self.columns.items()}
        return {**body, "columns": columns, "model": None if self.model is None else self.model.to_dict()}

    def to_text(self) -> str:
        """In plain words, one finding a line."""
        lost = f"{self.suppressed:,} of {self.rows:,} rows {'is' if self.suppressed == 1 else 'are'} left out"
        lines = [
            f"{lost}; the others are in {self.classes:,} class{'es' if self.classes != 1 else ''} of "
            f"{self.average_class_size:.1f} rows on average.",
            f"Loss {self.loss:.4f} (0: nothing lost, 1: everything); {self.entropy:.0%} of the information "
            "in the quasi-identifiers is gone.",
        ]
        for name, column in sorted(self.columns.items(), key=lambda item: -item[1].entropy):
            lines.append(f"  {name}: {_words(column)}")
        lines += self.model.to_lines() if self.model is not None else [self.model_note]
        return "\n".join(line for line in lines if line)


def measure_utility(
    done: Anonymized,
    source: Any,
    *,
    target: str | None = None,
    features: Sequence[str] = (),
    model: Any = "logistic",
    positive: str | None = None,
    k: int | None = None,
    seed: int = 0,
) -> Utility:
    """Measure a release against the table it was made from.

    Args:
        done: what `anonymize` returned: its rows stand in the order of `source`.
        source: that table.
        target: the column to learn, with two values; without one, no model is trained.
        features: columns released as they are that the model may learn from.
        model: "logistic" (L2 logistic regression, C = 1), "boosted-trees", or any scikit-learn classifier
            with `predict_proba`; it is cloned and fitted on rows of soft features.
        positive: the target's value that counts as 1; by default the rarer of two.
        k: of k-anonymity, for `class_size_ratio`.
        seed: fixes which rows are held out.

    Raises:
        BadTable: if columns are missing or hold values that a hierarchy does not; or the target has not two
            values.
        UsageError: if the target is a quasi-identifier, or the model is none.
    """
    read = Frame(source, {name: tree.texts for name, tree in done.hierarchies.items()})
    shown = Frame(done.frame)
    columns, places = {}, []
    for name, tree in done.hierarchies.items():
        leaves, tree = leaves_of(read.coded(name), tree, name)
        column = SoftColumn.of(name, tree)
        place = shown_places(shown, column)
        places.append(place)
        level = None if done.levels is None else done.levels[name]
        columns[name] = _column(column, tree, level, leaves.astype(np.int64), place, done.kept)
    kept = int(done.kept.sum())
    _, sizes = equivalence_classes(np.stack(places, axis=1)[done.kept])
    average = kept / len(sizes) if len(sizes) else 0.0
    learned = None
    if target is not None:
        learned = model_utility(
            done, source, target=target, features=features, model=model, positive=positive, seed=seed
        )
    return Utility(
        rows=read.rows,
        suppressed=read.rows - kept,
        classes=len(sizes),
        loss=done.loss,
        discernibility=int(sum(int(size) ** 2 for size in sizes)) + read.rows * (read.rows - kept),
        average_class_size=average,
        class_size_ratio=average / k if k else None,
        entropy=float(np.mean([column.entropy for column in columns.values()])),
        columns=columns,
        model=learned,
        model_note="" if learned is not None else "No target was named, so no model was trained.",
    )


def _column(
    column: SoftColumn,
    tree: Hierarchy,
    level: int | None,
    leaves: NDArray[np.int64],
    places: NDArray[np.int64],
    kept: NDArray[np.bool_],
) -> ColumnUtility:
    number, rows, whole = len(tree.rows), len(leaves), len(column.hierarchy.rows)
    source = np.bincount(leaves, minlength=whole).astype(np.float64)
    # a leaf for missing values that the table does not have counts nowhere
    cover = np.maximum(_over_places(column, (np.arange(whole) < number).astype(np.float64)), 1)
    counted = _over_places(column, source)
    top = len(cover) - 1
    seen = np.where(kept, places, top)
    with np.errstate(divide="ignore", invalid="ignore"):
        worst = float(np.sum(np.where(source > 0, source * np.log2(rows / source), 0.0)))
        gone = float(np.log2(counted[seen] / source[leaves]).sum())
    mass = float(cover[seen].sum())
    spread = rows * (number - 1)
    released = _spread(column, np.bincount(places[kept], minlength=top + 1) / cover)
    gap = (source / rows - released / max(1, int(kept.sum())))[:number]
    ordered = _is_ordered(tree)
    return ColumnUtility(
        level=level,
        levels=tree.levels,
        loss=max(0.0, (mass - rows) / spread) if spread else 0.0,
        entropy=min(1.0, max(0.0, gone / worst)) if worst else 0.0,
        total_variation=min(1.0, float(np.abs(gap).sum() / 2)),
        earth_mover=float(np.abs(np.cumsum(gap)).sum() / max(1, number - 1)) if ordered else None,
        generalised=float((cover[places[kept]] > 1).mean()) if kept.any() else 1.0,
    )


def _over_places(column: SoftColumn, leaves: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each row of `SoftColumn.weights`, the sum over the leaves that it covers."""
    found = np.full(len(column.weights), leaves.sum())
    for level, codes in enumerate(column.hierarchy.codes):
        found[place_at(column, level)] = np.bincount(codes, weights=leaves)[codes]
    return found


def _spread(column: SoftColumn, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(leaves,) the weight of each row of `SoftColumn.weights`, given to every leaf that it covers."""
    levels = range(column.hierarchy.levels)
    return weights[-1] + np.sum([weights[place_at(column, level)] for level in levels], axis=0)


def _is_ordered(tree: Hierarchy) -> bool:
    """Whether the leaves are bins or numbers in rising order."""
    if tree.edges:
        return True
    try:
        numbers = [float(text) for text in tree.texts]
    except ValueError:
        return False
    return len(numbers) > 1 and numbers == sorted(numbers)


def _words(column: ColumnUtility) -> str:
    if column.level == 0:
        where = "released as it is"
    elif column.level is not None and column.level == column.levels - 1:
        where = f"level {column.level} of {column.levels - 1}, the coarsest"
    elif column.level is not None:
        where = f"level {column.level} of {column.levels - 1}"
    else:
        where = f"{column.generalised:.0%} of the released rows show less than the value"
    return f"{where}; {column.entropy:.0%} of its information is gone"
