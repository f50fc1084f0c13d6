"""The agreement that an advice leads to, as answers to the questions of `comity agree draft`.

What the advice knows is filled in: who takes part, the columns, the clause with the limits that the
architecture's own runs need. What only people know (where the data is from, on what terms, what allows it)
is left open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from comity.advise.advice import Choice
from comity.errors import UsageError
from comity.schema import Schema

if TYPE_CHECKING:
    from comity.architectures.definition import Parties


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
        UsageError: if this comity does not have the architecture, or it needs a mediator and none is named.
    """
    from comity.architectures import find, names
    from comity.architectures.definition import Options

    if choice.architecture not in names():
        raise UsageError(f"this comity cannot run '{choice.architecture}', so no agreement is drafted for it")
    found = find(choice.architecture)
    mediated = "mediator" in found.programs and choice.architecture != "encrypted"
    if mediated and not parties.mediator:
        raise UsageError(f"'{choice.architecture}' needs a mediator: name it with --mediator NAME")
    options = Options(epsilon=epsilon, delta=delta, k=k, mode=choice.mode, partition=partition)
    clause = found.clause_of(options, parties)
    if "" in clause.get("compute", ()):  # no third party to compute: the two providers do it between them
        clause |= {"protocol": "cheetah", "compute": list(parties.providers)}
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


def _terms(schema: Schema, held: Sequence[str] | None) -> dict[str, Any]:
    """One provider's columns and unit."""
    terms = schema.to_dict()
    columns = {name: terms["columns"][name] for name in terms["columns"] if held is None or name in held}
    unit = {} if schema.unit.column is None else {"unit": terms["unit"]}
    return {"columns": columns, **unit}
