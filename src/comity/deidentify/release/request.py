"""What a candidate release was asked to be: makes it, and measures it for the steward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from comity.assess.risk import reidentification_risk
from comity.data.table import Table
from comity.deidentify.generalise import Anonymized, anonymize
from comity.deidentify.release.steward import StewardReport
from comity.deidentify.utility.choice import Choice
from comity.deidentify.utility.measured import Utility, measure_utility
from comity.deidentify.utility.model_utility import ModelUtility
from comity.deidentify.utility.relax import Warned, warn
from comity.errors import BadTable, UsageError
from comity.schema import Schema

_RISKS = (
    "prosecutor_max",
    "prosecutor_mean",
    "journalist_max",
    "journalist_mean",
    "marketer",
    "sample_uniques",
    "at_risk",
)
_LARGE_SHARE = 0.2


@dataclass(frozen=True)
class Request:
    """Arguments of `anonymize` for one prepared table, and what a model is to learn.

    Attributes:
        target: the column to learn; None if there is none.
        learning: `features`, `positive`, `model`, `seed`, as `measure_utility`.
        by_target: whether levels are chosen by what the model keeps.
    """

    table: Table
    anonymize: Mapping[str, Any]
    target: str | None
    learning: Mapping[str, Any]
    by_target: bool

    def run(self) -> tuple[Anonymized, Choice | None]:
        """The release.

        Raises:
            UsageError: if levels are to be chosen by a target and there is none.
        """
        if not self.by_target:
            return anonymize(self.table.arrow, **self.anonymize), None
        return self._best_for_target()

    def report(
        self,
        done: Anonymized,
        choice: Choice | None,
        *,
        rows: Mapping[str, int],
        risk: Mapping[str, Mapping[str, Any]],
        k: int,
        steps: Sequence[Mapping[str, Any]],
        unprotected: Mapping[str, str],
        measure_model: bool,
        models: Sequence[str],
        further: Sequence[str] = (),
        told: Sequence[str] = (),
    ) -> StewardReport:
        """What the steward is told of it; `further` are warnings beside those made here."""
        found, why_not = self._utility(done, k, measure_model)
        warned = None if found.model is None else self._warning(done, found.model)
        return StewardReport(
            rows=rows,
            risk=risk,
            utility=found,
            unprotected=unprotected,
            models=tuple(models),
            smallest_class=done.smallest_class,
            steps=tuple(steps),
            choice=choice,
            warning=warned,
            notes=(*further, *_notes(rows, found, why_not)),
            told=tuple(told),
        )

    def _utility(self, done: Anonymized, k: int, measure_model: bool) -> tuple[Utility, str]:
        """Utility, with the model where there is a target that a model can learn; else why there is none."""
        if not measure_model or self.target is None:
            return measure_utility(done, self.table.arrow, k=k), ""
        try:
            return measure_utility(done, self.table, target=self.target, k=k, **self.learning), ""
        except (BadTable, UsageError) as error:
            return measure_utility(done, self.table, k=k), f"What a model keeps was not measured: {error}"

    def _warning(self, done: Anonymized, measured: ModelUtility) -> Warned | None:
        by_target = None if self.by_target else (lambda: self._best_for_target()[0])
        learning = {name: self.learning[name] for name in ("features", "model", "seed")}
        return warn(self.table, done, measured, by_target=by_target, **self.anonymize, **learning)

    def _best_for_target(self) -> tuple[Anonymized, Choice]:
        from comity.deidentify.utility.objective import best_for_target

        if self.target is None:
            raise UsageError(
                "objective 'target' needs the column to learn: give target=, or a column with the role "
                "target in the schema"
            )
        done, choice = best_for_target(self.table, target=self.target, **self.anonymize, **self.learning)
        return done, choice


def require_target(name: str | None, schema: Schema) -> None:
    """Refuse a target that the release does not have.

    Raises:
        UsageError: naming columns that are written nearly so.
    """
    if name is None or name in schema:
        return
    near = get_close_matches(name, list(schema), n=3)
    offer = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(schema)}"
    raise UsageError(f"the target '{name}' is no column of the schema that can be released; {offer}")


def risk_of(table: Table, names: Sequence[str], population: int | None = None) -> dict[str, Any]:
    """Risk from who knows the quasi-identifiers (see `comity.assess.Risk`); without rows there is none."""
    if table.rows == 0:
        return dict.fromkeys(_RISKS, 0.0)
    found = reidentification_risk(table, names, population).to_dict()
    chosen = {name: found[name] for name in _RISKS}
    if population is not None:
        chosen["population_uniques"] = dict(found["population_uniques"])
    return chosen


def _notes(rows: Mapping[str, int], found: Utility, why_not: str) -> tuple[str, ...]:
    """Further warnings, in words."""
    notes = [why_not] if why_not else []
    if rows["released"] == 0:
        notes.append(
            "No row is released. Relax a model, lower the suppression limit so that columns are generalised "
            "instead, or give up a quasi-identifier."
        )
    elif rows["suppressed"] > _LARGE_SHARE * rows["taking_part"]:
        notes.append(
            f"{rows['suppressed'] / rows['taking_part']:.0%} of the rows are left out; they are the rarest, "
            "so what is learned holds less for people like them."
        )
    flat = [name for name, column in found.columns.items() if column.entropy > 0.999 and column.levels > 1]
    if flat and rows["released"]:
        notes.append(f"Nothing is left of {', '.join(flat)}: the column could as well be dropped.")
    return tuple(notes)
