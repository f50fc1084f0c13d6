"""The agreement that an advice leads to, as answers to the questions of `comity agree draft`.

What the advice knows is filled in: who takes part, the columns, the clause with the limits that the
architecture's own runs need. What only people know (where the data is from, on what terms, what allows it)
is left open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from comity.advise.advice import Choice
from comity.advise.rules import NOTHING
from comity.errors import UsageError
from comity.schema import Schema

if TYPE_CHECKING:
    from comity.architectures.definition import Parties

_SHARE_OF_COLUMNS: Final = 4
"""One row scored for so many columns: far fewer scores than tell a model."""


def draft(
    choice: Choice,
    parties: Parties,
    *,
    schema: Schema | None = None,
    held: Mapping[str, Sequence[str]] | None = None,
    partition: str = "rows",
    personal: bool = True,
    epsilon: float = 1.0,
    delta: float = 1e-6,
    k: int = 5,
    frame: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Answers for `comity agree draft`, by their places.

    Args:
        parties: who takes part; `mediator` is "" where there is none.
        schema: the columns of the providers' tables, with public bounds and levels; None leaves them open.
        held: each provider's own columns, where they do not all have the same.
        partition: `rows` where providers hold different records, `columns` where they hold different columns
            of the same ones.
        personal: whether the data is about people; where it is not, that is what allows its use.
        epsilon, delta, k: of the clause, and of the budget.
        frame: rows and digest of the ids that all parties know, for architectures that fix a frame.

    Raises:
        UsageError: if this comity does not have the architecture, it needs a mediator and none is named, or
            its noise hides a record and the schema's unit is a person with many.
    """
    from comity.architectures import find, names
    from comity.architectures.definition import Options

    if choice.architecture == NOTHING:
        raise UsageError(f"there is nothing to draft: {choice.reason} {choice.caution}")
    if choice.architecture not in names():
        raise UsageError(f"this comity cannot run '{choice.architecture}', so no agreement is drafted for it")
    found = find(choice.architecture)
    mediated = "mediator" in found.programs and choice.architecture != "encrypted"
    if mediated and not parties.mediator:
        raise UsageError(f"'{choice.architecture}' needs a mediator: name it with --mediator NAME")
    options = Options(epsilon=epsilon, delta=delta, k=k, mode=choice.mode, partition=partition)
    clause = found.clause_of(options, parties)
    if choice.name == "encrypted (private)":
        _require_private(parties, schema)
    if "" in clause.get("compute", ()):  # no third party to compute: the two providers do it between them
        clause |= {"protocol": "cheetah", "compute": list(parties.providers)}
    if choice.architecture == "homomorphic":
        clause |= scoring_limits(schema, held)
    if found.frame and frame is not None:
        clause["frame"] = dict(frame)
    roles = {**dict.fromkeys(parties.providers, "provider"), parties.ml_party: "ml_party"}
    if parties.mediator and (mediated or parties.mediator in clause.get("compute", ())):
        roles[parties.mediator] = "mediator"
    answers: dict[str, Any] = {"parties": roles, "architectures": {choice.architecture: clause}}
    if not personal:
        answers["purpose"] = {"legal_basis": "not_personal"}
    if schema is not None:
        answers["data"] = {
            name: _terms(schema, None if held is None else held[name]) for name in parties.providers
        }
    return answers


def _require_private(parties: Parties, schema: Schema | None) -> None:
    """What training on shares with noise takes for granted (docs/privacy.md).

    Raises:
        UsageError: where it is not so.
    """
    from comity.data.people import Unit

    if len(parties.providers) < 3 and not parties.mediator:
        raise UsageError(
            "'encrypted (private)' of two providers needs a third party that computes, and sees random "
            "numbers only: name it with --mediator NAME"
        )
    unit = Unit() if schema is None else Unit.of(schema.unit, schema.columns)
    if not unit.of_one_row:
        raise UsageError(
            f"'encrypted (private)' hides one record, and the schema's unit is all rows with one value of "
            f"'{unit.column}': take 'federated' or 'synthetic', which hide a person's rows, or keep one row "
            "of each person"
        )


def scoring_limits(schema: Schema | None, held: Mapping[str, Sequence[str]] | None) -> dict[str, Any]:
    """How many rows each provider may have scored, and how scores are flooded.

    A few more scores than columns tell all of the model: so a quarter as many, of the provider with the
    fewest; as many as any draft where the columns are not known. The flood is the one that runs use anyway.
    """
    from comity.architectures.homomorphic import QUERIES
    from comity.train.homomorphic.precision import Precision

    columns = scored_columns(schema, held)
    queries = QUERIES if columns is None else max(1, columns // _SHARE_OF_COLUMNS)
    return {"queries": queries, "flooding_bits": Precision().flooding_bits}


def scored_columns(schema: Schema | None, held: Mapping[str, Sequence[str]] | None) -> int | None:
    """Columns that a provider's features make when encrypted, of the provider with the fewest; those without
    public bounds or levels count once. None without a schema."""
    from comity.train.homomorphic.columns import PublicColumns, lacking_bounds

    if schema is None:
        return None

    def count(names: Sequence[str]) -> int:
        known = [name for name in names if not lacking_bounds(schema, [name])]
        return len(PublicColumns.of(schema, known).labels) + len(names) - len(known)

    own = [schema.features] if held is None else [_among(schema.features, names) for names in held.values()]
    return min(map(count, own), default=0)


def scoring_note(drafted: Mapping[str, Any], columns: int | None) -> str:
    """What a drafted clause's `queries` lets be told, for people."""
    allowed = drafted["queries"]
    if columns is None:
        told = "how many columns the features make is not known here; a few more scores than columns tell all"
    elif allowed > columns:
        told = f"the features make {columns:,} columns, so that these scores tell all of the model"
    else:
        told = (
            f"the features make {columns:,} columns: a few more scores than that tell all of the model, and "
            "fewer tell less"
        )
    return (
        f"queries: each provider may have {allowed:,} rows scored, over all runs; {told}. Another number: "
        "--set agreement.architectures.homomorphic.queries=N. Providers that may have the model can be "
        "handed it instead."
    )


def _among(features: Sequence[str], names: Sequence[str]) -> list[str]:
    return [name for name in features if name in names]


def _terms(schema: Schema, held: Sequence[str] | None) -> dict[str, Any]:
    """One provider's columns and unit."""
    terms = schema.to_dict()
    columns = {name: terms["columns"][name] for name in terms["columns"] if held is None or name in held}
    unit = {} if schema.unit.column is None else {"unit": terms["unit"]}
    return {"columns": columns, **unit}
