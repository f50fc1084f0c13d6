"""`comity agree draft`: questions to a steward, and the draft that comes of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from comity.cli.agree_files import JsonFile, Sets, folder_of, put_out, today

if TYPE_CHECKING:
    from comity.agreement import Agreement


def draft(
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="This party's folder, with the others' cards.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the draft.")] = Path(
        "agreement.yaml"
    ),
    answers: Annotated[
        Path | None,
        typer.Option("--answers", metavar="FILE.yaml", help="Answers; what it leaves out is asked."),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="A short title.")] = None,
    purpose: Annotated[
        str | None, typer.Option("--purpose", help="What is to be learned, and what for.")
    ] = None,
    legal_basis: Annotated[
        str | None,
        typer.Option("--legal-basis", help="consent, contract, public_task, ..., or not_personal."),
    ] = None,
    provider: Annotated[
        list[str] | None, typer.Option("--provider", metavar="NAME", help="A party with data; often.")
    ] = None,
    ml_party: Annotated[
        list[str] | None, typer.Option("--ml-party", metavar="NAME", help="The party that learns.")
    ] = None,
    mediator: Annotated[
        list[str] | None, typer.Option("--mediator", metavar="NAME", help="The trusted third party.")
    ] = None,
    auditor: Annotated[
        list[str] | None,
        typer.Option(
            "--auditor", metavar="NAME", help="A party that may be shown a table in an audit (comity audit)."
        ),
    ] = None,
    schema: Annotated[
        list[str] | None,
        typer.Option("--schema", metavar="PROVIDER=SCHEMA.yaml", help="A provider's columns; often."),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="ARCHITECTURE", help="A way of collaborating to allow; often."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="YYYY-MM-DD", help="The last day, in UTC.")
    ] = None,
    sets: Sets = None,
    no_questions: Annotated[
        bool, typer.Option("--no-questions", help="Take defaults for what is not answered, ask nothing.")
    ] = False,
    json: JsonFile = None,
) -> int:
    """Ask a steward plain questions and write a draft agreement.

    Every answer has a place, which --set and the file of --answers name: title, purpose.text,
    purpose.legal_basis, parties.NAME (provider, ml_party, mediator, auditor, none), data.NAME.schema
    (or .columns), .lineage, .source, .licence, .consent, .mediator_may_hold, .seed_rows, .unit.column,
    .unit.max_rows, .budget.epsilon, .budget.delta, .retention.after_withdrawal_days, .retention.models,
    .auditor, architectures.ARCHITECTURE.LIMIT, expires.
    """
    from comity.agreement import agreement_from
    from comity.agreement.layout import write_document
    from comity.cli.agree_interview import interview
    from comity.cli.agree_questions import Questions, put_answer, read_answers
    from comity.cli.agree_words import describe, told
    from comity.cli.output import check_apart, check_writable, write_json, write_text
    from comity.cli.passphrase import at_terminal
    from comity.errors import BadAgreement, BadInput

    check_apart({"--answers": answers}, {"--out": out, "--json": json})
    check_writable(str(out), "--out")
    check_writable(json, "--json")
    if out.exists():
        raise BadInput(f"{out} exists; name another file with --out, or remove it")
    own = folder_of(folder)
    given: dict[str, Any] = {} if answers is None else read_answers(answers)
    told_by_options = {
        "title": title,
        "purpose.text": purpose,
        "purpose.legal_basis": legal_basis,
        "expires": expires,
        **{f"parties.{name}": "provider" for name in provider or ()},
        **{f"parties.{name}": "ml_party" for name in ml_party or ()},
        **{f"parties.{name}": "mediator" for name in mediator or ()},
        **{f"parties.{name}": "auditor" for name in auditor or ()},
        **_schemas(schema or ()),
    }
    for place, value in told_by_options.items():
        if value is not None:
            put_answer(given, place, value)
    _allow(given, allow or ())
    for option in sets or ():
        put_answer(given, option)
    keys = {own.name: str(own.verify_key), **{name: str(card.key) for name, card in own.peers().items()}}
    questions = Questions(given, ask=at_terminal() and not no_questions)
    base = Path() if answers is None else answers.parent
    document = interview(questions, keys, base=base)
    try:
        agreement = agreement_from(document, where="the draft")
        _check_columns(agreement)
    except BadAgreement as error:
        if not questions.ask:
            raise
        write_text(write_document(document), out)
        raise BadAgreement(f"{error}. What was answered is in {out}: mend it there") from None
    put_out(agreement, out)
    description = describe(agreement, own.standing(agreement, today()))
    if json is not None:
        write_json({"file": str(out), **description}, json)
    if json != "-":
        print("\n".join(told(description, on=today())))
        print(f"\nWrote the draft to {out}. Read it, change what is wrong, then every party runs:")
        print(f"  comity agree sign {out} --folder DIR")
    return 0


def _check_columns(agreement: Agreement) -> None:
    """A draft whose tables no node can load is of no use to anybody.

    Raises:
        BadAgreement: naming every such column, and what to do about it.
    """
    from comity.agreement import unusable_columns
    from comity.agreement.text import path_text
    from comity.errors import BadAgreement

    found = [f"{path_text(place)} {words}" for place, words in unusable_columns(agreement)]
    if found:
        raise BadAgreement("the draft has columns that comity node load refuses: " + "; ".join(found))


def _schemas(options: Sequence[str]) -> dict[str, str]:
    """Where the answers of --schema PROVIDER=FILE belong."""
    from comity.errors import UsageError

    found: dict[str, str] = {}
    for option in options:
        name, separator, path = option.partition("=")
        if not separator or not name or not path:
            raise UsageError(f"--schema {option!r}: write PROVIDER=SCHEMA.yaml")
        found[f"data.{name}.schema"] = str(Path(path).absolute())
    return found


def _allow(given: dict[str, Any], names: Sequence[str]) -> None:
    """Put architectures among those that the answers allow."""
    if not names:
        return
    present = given.setdefault("architectures", {})
    if not isinstance(present, dict):
        given["architectures"] = present = dict.fromkeys(present)
    for name in names:
        present.setdefault(name, {})
