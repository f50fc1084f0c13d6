"""The draft of `comity advise --draft`: the questions of `comity agree draft`, most of them answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.advise.advice import Advice
    from comity.schema import Schema


SECTION = "agreement"
"""Where the answers of `comity agree draft` stand among those of `comity advise`."""


def write_draft(
    advice: Advice,
    out: Path,
    *,
    folder: Path,
    providers: Sequence[str],
    ml_party: str,
    mediator: str | None,
    schema: Schema | None,
    target: str | None,
    ids: Sequence[str] | None,
    held: Mapping[str, Sequence[str]] | None,
    answers: Mapping[str, Any],
    base: Path,
    epsilon: float,
    k: int,
) -> None:
    """Write the draft of what is advised. Nothing in it is read off the tables but the ids' digest.

    Args:
        ids: all providers' record ids, for a clause that fixes a frame.
        held: each provider's columns, where they are not the same.
        answers: those of `comity agree draft`; they stand above what the advice fills in.
        base: the folder that file names in answers are relative to.

    Raises:
        UsageError: listing answers that are missing, or if the frame's ids are needed and not there.
        BadInput: if there is no card of a party.
    """
    from comity.advise import Cast
    from comity.advise import draft as draft_of
    from comity.agreement import agreement_from
    from comity.cli.agree_files import folder_of, put_out
    from comity.cli.agree_interview import interview
    from comity.cli.agree_questions import Questions
    from comity.cli.passphrase import at_terminal
    from comity.errors import UsageError

    own = folder_of(folder)
    keys = {own.name: str(own.verify_key), **{name: str(card.key) for name, card in own.peers().items()}}
    measured = advice.first.measured
    spent = epsilon if measured is None or measured.epsilon is None else measured.epsilon
    given = draft_of(
        advice.first,
        Cast(tuple(providers), ml_party, mediator),
        schema=schema,
        held=held,
        personal=advice.known["personal"].answer != "no",
        epsilon=spent,
        k=k,
        frame=frame_of(ids) if ids is not None and advice.first.architecture == "blind-validation" else None,
    )
    what = f"Learn {target}" if target else "Learn together"
    given["title"] = f"{what} by {advice.first.architecture}"
    if schema is None:
        for name in providers:
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


def frame_of(ids: Sequence[str]) -> dict[str, Any]:
    """Rows and digest of the list of ids that all parties know.

    Raises:
        BadInput: if one stands there twice: a frame has one row for each.
    """
    from comity.crypto.canonical import digest
    from comity.errors import BadInput

    listed = sorted(ids)
    if len(set(listed)) != len(listed):
        raise BadInput(
            "records of several providers have the same id, and a frame names each once: write the list of "
            "ids that all parties agree on to a file, and name it in --answers under "
            "agreement.architectures.NAME.frame"
        )
    return {"rows": len(listed), "sha256": digest(listed)}


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
