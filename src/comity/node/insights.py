"""Insight reports between parties: the ML party signs claims, the provider scores them on later rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from comity.agreement import Agreement
from comity.architectures.definition import Task
from comity.data.labels import require_value
from comity.errors import BadInput, ClauseRefused
from comity.node.folder import PartyFolder
from comity.node.state import now
from comity.validate.insight import Claim, InsightReport, Outcome, Scored, score_report

if TYPE_CHECKING:
    from comity.data.table import Table
    from comity.schema import Schema

_SCORES: Final = {"role": "insensitive", "type": "number", "min": 0.0, "max": 1.0}


@dataclass(frozen=True)
class Scores:
    """How a report's claims fared; the provider's own figures, not for others.

    Attributes:
        report: whose claims.
        claims: each with its outcome.
        rows: later rows that were looked at.
        left_out: rows that answers may have been computed from: their ids are in this party's table.
    """

    report: InsightReport
    claims: tuple[Scored, ...]
    rows: int
    left_out: int

    def count(self, outcome: Outcome) -> int:
        return sum(claim.outcome is outcome for claim in self.claims)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "party": self.report.party,
            "agreement": self.report.agreement,
            "time": self.report.time,
            "rows": self.rows,
            "left_out": self.left_out,
            "claims": [
                {
                    **scored.claim.to_dict(),
                    "outcome": str(scored.outcome),
                    "rows": scored.rows,
                    "observed": None if scored.observed is None else list(scored.observed),
                }
                for scored in self.claims
            ],
        }


def read_claims(path: Path) -> tuple[Claim, ...]:
    """Claims from a file: a list in YAML or JSON, each with kind, where, low and high.

    Raises:
        BadInput: naming the claim that is none.
    """
    from comity.agreement.text import read_document

    try:
        listed = read_document(path.read_text(encoding="utf-8"), where=f"the claims {path}").value
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the claims {path} cannot be read: {error}") from None
    if not isinstance(listed, list):
        raise BadInput(f"{path} is not a list of claims, each with kind, where, low and high")
    claims: list[Claim] = []
    for number, each in enumerate(listed, start=1):
        try:
            claims.append(Claim.from_dict(each))
        except BadInput as error:
            raise BadInput(f"{path}, claim {number}: {error}") from None
    return tuple(claims)


def sign_report(folder: PartyFolder, agreement: Agreement, claims: Sequence[Claim]) -> InsightReport:
    """What this ML party learned under an agreement.

    Raises:
        ClauseRefused: if it is no ML party of it.
        BadInput: without claims, or if one names a column or level that no data of the agreement have.
    """
    _require_ml_party(agreement, folder.name)
    for number, claim in enumerate(claims, start=1):
        _require_known(agreement, claim, f"claim {number}")
    return InsightReport.sign(
        folder.key, party=folder.name, agreement=agreement.digest, time=now(), claims=tuple(claims)
    )


def score(
    folder: PartyFolder,
    report: InsightReport,
    source: str,
    positive: str,
    *,
    scores: str | None = None,
) -> Scores:
    """Hold a report against this provider's later rows.

    Args:
        source: CSV, Parquet or Arrow, or a postgresql:// URL: the columns of the agreement. Rows whose id is
            in the loaded table are left out.
        positive: the target's value that counts as 1.
        scores: a column of the source with the model's probabilities, for claims about the model.

    Raises:
        BadInput: if the agreement is not kept here, the target has no such value, or no row is left.
        ClauseRefused: if the report is by no ML party, or this party has no data under the agreement.
        VerificationFailed: if its signature does not fit.
        BadTable: if the rows do not fit the agreement's columns.
    """
    agreement = folder.agreement(report.agreement)
    _require_ml_party(agreement, report.party)
    report.verify(agreement.party(report.party).key)
    schema = agreement.data_of(folder.name).table_schema
    if schema.target is None:
        raise BadInput(f"the data of '{folder.name}' has no target under this agreement: nothing to score by")
    require_value(schema.columns[schema.target], schema.target, positive)
    later = _later(source, schema, scores)
    fresh, left_out = _fresh(later, folder, schema)
    if not fresh.rows:
        raise BadInput(
            f"every row of {source} is in this party's table, which answers were computed from: give later "
            "rows",
            private=True,
        )
    columns = {name: _values(fresh, name) for name in schema.features}
    task = Task(schema, schema.target, positive, "")
    told = None if scores is None else fresh.numbers(scores)
    found = score_report(report, columns, _labels(fresh, task), scores=told)
    return Scores(report, tuple(found), fresh.rows, left_out)


def _require_ml_party(agreement: Agreement, name: str) -> None:
    if agreement.party(name).role != "ml_party":
        raise ClauseRefused(
            f"'{name}' is no ML party of this agreement, and insight reports are theirs",
            clause=f"parties.{name}.role",
        )


def _require_known(agreement: Agreement, claim: Claim, place: str) -> None:
    """That some provider can score the claim's group: by features, at levels that their schema lists."""
    schemas = [data.table_schema for data in agreement.data]
    features = list(dict.fromkeys(name for schema in schemas for name in schema.features))
    for name, condition in claim.where.items():
        if name not in features:
            raise BadInput(
                f"{place}: '{name}' is no feature of the agreement's data; its features are "
                f"{', '.join(features) or 'none'}"
            )
        listed = [schema.columns[name].values for schema in schemas if name in schema.features]
        if isinstance(condition, Mapping) or None in listed:
            continue
        levels = list(dict.fromkeys(level for values in listed for level in values or ()))
        for level in condition:
            if str(level) not in levels:
                raise BadInput(
                    f"{place}: {str(level)!r} is no level of the column '{name}'; its levels are "
                    f"{', '.join(levels)}"
                )


def _later(source: str, schema: Schema, scores: str | None) -> Table:
    from comity.data.check import check_table
    from comity.data.read import read_table
    from comity.schema import Column, Schema

    wanted = dict(schema.columns)
    if scores is not None:
        if scores in wanted:
            raise BadInput(
                f"the column '{scores}' is one of the agreement's; name the model's scores otherwise"
            )
        wanted[scores] = Column.model_validate(_SCORES)
    read = Schema(columns=wanted, unit=schema.unit)
    return check_table(read_table(source, schema=read), read).table


def _fresh(later: Table, folder: PartyFolder, schema: Schema) -> tuple[Table, int]:
    """The rows that no answer was computed from, and how many others there were."""
    import pyarrow.parquet as pq

    from comity.schema import Role

    place = folder.tables_path / "train.parquet"
    known = np.zeros(later.rows, dtype=bool)
    if place.is_file():
        held = pq.read_table(place)
        for name in schema.named(Role.identifier):
            if name in held.column_names:
                seen = set(held.column(name).to_pylist())
                known |= np.array([value in seen for value in later.column(name).to_pylist()], dtype=bool)
    return later.take(np.flatnonzero(~known)), int(known.sum())


def _values(table: Table, name: str) -> np.ndarray[Any, Any]:
    if table.type(name).is_numeric:
        return table.numbers(name)
    return np.array(["" if value is None else value for value in table.strings(name)], dtype=np.str_)


def _labels(table: Table, task: Task) -> np.ndarray[Any, Any]:
    from comity.architectures.models import labels_of

    return labels_of(table.arrow, task)
