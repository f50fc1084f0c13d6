"""The draft of `comity advise --draft`: the questions of `comity agree draft`, most of them answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.advise.advice import Advice
    from comity.data.table import Table
    from comity.schema import Schema


SECTION = "agreement"
"""Where the answers of `comity agree draft` stand among those of `comity advise`."""


def write_draft(
    advice: Advice,
    out: Path,
    *,
    folder: Path,
    tables: Mapping[str, Table],
    ml_party: str,
    mediator: str | None,
    schema: Schema | None,
    target: str | None,
    id: str | None,
    answers: Mapping[str, Any],
    base: Path,
    epsilon: float,
    k: int,
) -> tuple[str, ...]:
    """Write the draft of what is advised; what is left to say about it.

    Nothing in it is read off the tables but the names of their columns, the ids' digest, and, where answers
    were measured, which architecture it is.

    Args:
        tables: each provider's.
        id: the column of record ids, for a clause that fixes a frame.
        answers: those of `comity agree draft`; they stand above what the advice fills in.
        base: the folder that file names in answers are relative to.
        epsilon: of the clause and the budget.

    Raises:
        UsageError: listing answers that are missing, or if the frame's ids are needed and not there.
        BadInput: if there is no card of a party, or records cannot be told apart by their ids.
    """
    from comity.advise import draft as draft_of
    from comity.agreement import agreement_from
    from comity.architectures.definition import Parties
    from comity.cli.agree_files import folder_of, put_out
    from comity.cli.agree_interview import interview
    from comity.cli.agree_questions import Questions
    from comity.cli.passphrase import at_terminal
    from comity.errors import UsageError

    own = folder_of(folder)
    keys = {own.name: str(own.verify_key), **{name: str(card.key) for name, card in own.peers().items()}}
    personal = advice.known.get("personal")
    held = {name: table.names for name, table in tables.items()}
    same = len({frozenset(names) for names in held.values()}) == 1
    given = draft_of(
        advice.first,
        Parties(tuple(tables), ml_party, mediator or ""),
        schema=schema,
        held=None if same else held,
        partition=_partition(advice, same),
        personal=personal is None or personal.answer != "no",
        epsilon=epsilon,
        k=k,
        frame=frame_of(tables, id) if id is not None and _fixes_frame(advice) else None,
    )
    what = f"Learn {target}" if target else "Learn together"
    given["title"] = f"{what} by {advice.first.architecture}"
    if schema is None:
        for name in tables:
            if not _has(answers, "data", name, "schema") and not _has(answers, "data", name, "columns"):
                raise UsageError(
                    "an agreement names columns with public bounds and levels, which must not be read off "
                    "the tables: give --schema SCHEMA.yaml (comity assess TABLE --write-schema makes one)"
                )
    questions = Questions(_over(given, answers), ask=at_terminal())
    try:
        document = interview(questions, keys, base=base)
    except UsageError as error:
        raise UsageError(
            f"for the draft: {error}. Here they stand under '{SECTION}', for instance "
            f"--set {SECTION}.purpose.legal_basis=public_task"
        ) from None
    put_out(agreement_from(document, where="the draft"), out)
    return (*_scoring(document, schema, None if same else held), *_other_epsilon(advice, epsilon))


def _scoring(
    document: Mapping[str, Any], schema: Schema | None, held: Mapping[str, Sequence[str]] | None
) -> tuple[str, ...]:
    """What the scores that a draft allows tell of the model."""
    from comity.advise.drafting import scored_columns, scoring_note

    clause = document["architectures"].get("homomorphic")
    return () if clause is None else (scoring_note(clause, scored_columns(schema, held)),)


def _partition(advice: Advice, same: bool) -> str:
    """How the data is split, as it was answered: a further column at one provider splits nothing.

    Raises:
        UsageError: if columns are said to be spread, and all tables have the same.
    """
    from comity.advise.process import settled
    from comity.errors import UsageError

    answers = settled({name: one.answer for name, one in advice.known.items()})
    if answers.get("columns") != "spread":
        return "rows"
    if same:
        raise UsageError(
            "the answer to 'columns' is 'spread', and the tables of --provider have the same columns: give "
            "each provider's own columns, or answer 'provider' or 'linked'"
        )
    return "columns"


def _fixes_frame(advice: Advice) -> bool:
    from comity.architectures import find, names

    name = advice.first.architecture
    return name in names() and find(name).frame


def _other_epsilon(advice: Advice, epsilon: float) -> tuple[str, ...]:
    """That the comparison found another epsilon to do; it is for the holders, and not in the draft."""
    measured = advice.first.measured
    if measured is None or measured.epsilon is None or measured.epsilon == epsilon:
        return ()
    return (
        f"It asks for epsilon {epsilon:g} (--epsilon); the comparison's result above is of epsilon "
        f"{measured.epsilon:g}. An epsilon that is chosen by results tells something of the tables.",
    )


def frame_of(tables: Mapping[str, Table], id: str) -> dict[str, Any]:
    """Rows and digest of the list of ids that all parties know.

    Raises:
        BadInput: if a record has no id, or one id stands twice: a frame has one row for each.
    """
    from comity.crypto.canonical import digest
    from comity.errors import BadInput

    listed: list[str] = []
    for name, table in tables.items():
        ids = [value for value in table.strings(id) if value is not None]
        missing, twice = table.rows - len(ids), len(ids) - len(set(ids))
        if missing:
            raise BadInput(
                f"{missing:,} of {table.rows:,} records of '{name}' have no {id}, and a frame names each "
                "record by its id: give them one, or leave them out of the table",
                private=True,
            )
        if twice:
            raise BadInput(
                f"{twice:,} of {table.rows:,} records of '{name}' have the {id} of another one there, and a "
                "frame has one row for each id: keep one record of each in the table",
                private=True,
            )
        listed += ids
    if len(set(listed)) != len(listed):
        raise BadInput(
            "records of several providers have the same id, and a frame names each once: write the list of "
            "ids that all parties agree on to a file, and name it in --answers under "
            "agreement.architectures.NAME.frame"
        )
    return {"rows": len(listed), "sha256": digest(sorted(listed))}


def _over(given: Mapping[str, Any], answers: Mapping[str, Any]) -> dict[str, Any]:
    """The steward's answers over those that the advice fills in."""
    merged = dict(given)
    for name, value in answers.items():
        mine = merged.get(name)
        merged[name] = (
            _over(mine, value) if isinstance(mine, Mapping) and isinstance(value, Mapping) else value
        )
    return merged


def _has(answers: Mapping[str, Any], *path: str) -> bool:
    place: Any = answers
    for step in path:
        if not isinstance(place, Mapping) or step not in place:
            return False
        place = place[step]
    return True
