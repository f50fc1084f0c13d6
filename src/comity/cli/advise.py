"""`comity advise`: questions, measurements, and the architecture that fits, with its reasons."""

from __future__ import annotations

import json as json_module
import math
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from comity.advise.advice import Advice
    from comity.advise.situation import Facts
    from comity.data.table import Table
    from comity.schema import Schema

_WIDTH = 78
_WHO = {
    "provider": "for a provider's steward",
    "ml_party": "for the ML party",
    "both": "for both sides",
}


def advise(
    provider: Annotated[
        list[str] | None,
        typer.Option("--provider", metavar="NAME=PATH", help="A provider and its table, to measure; often."),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="COLUMN", help="The column to predict.")
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option("--schema", metavar="SCHEMA.yaml", help="Roles, types and bounds of columns."),
    ] = None,
    id: Annotated[
        str | None, typer.Option("--id", metavar="COLUMN", help="The column of record ids.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="FILE.json", help="What comity compare --json wrote."),
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option("--answers", metavar="FILE.yaml", help="Answers; what it leaves out is asked."),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="QUESTION=ANSWER", help="One answer, as often as needed."),
    ] = None,
    epsilon: Annotated[
        float, typer.Option("--epsilon", metavar="E", help="The privacy budget that is thought of.")
    ] = 1.0,
    k: Annotated[int, typer.Option("--k", min=2, help="Group size of k-anonymity.")] = 5,
    draft: Annotated[
        Path | None,
        typer.Option("--draft", metavar="FILE.yaml", help="Write a draft agreement; it needs --folder."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="A party's folder, with the cards of the others."),
    ] = None,
    ml_party: Annotated[
        str | None, typer.Option("--ml-party", metavar="NAME", help="Who learns, for the draft.")
    ] = None,
    mediator: Annotated[
        str | None, typer.Option("--mediator", metavar="NAME", help="The trusted third party, for the draft.")
    ] = None,
    json: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the advice as JSON; - for standard output."),
    ] = None,
) -> int:
    """Ask and measure what the choice of an architecture depends on, and say which one fits and why.

    Questions that tables or results answer are not asked; --answers or --set stand above what is measured.
    Their names are sensitive, personal, suits, providers, mixes, sight, mediator, columns, start, proof,
    want, compute and enough (docs/advise.md). Under `agreement`, the file of answers may hold those of
    comity agree draft, for --draft.
    """
    from comity.advise import Situation
    from comity.advise import advise as advise_on
    from comity.cli.advise_draft import write_draft
    from comity.cli.output import PRIVATE, check_apart, check_writable, write_json
    from comity.errors import BadInput, UsageError

    tables = {f"--provider {each}": each.partition("=")[2] for each in provider or ()}
    check_apart(
        {**tables, "--schema": schema, "--results": results, "--answers": answers},
        {"--json": json, "--draft": draft},
    )
    check_writable(json, "--json")
    check_writable(None if draft is None else str(draft), "--draft")
    if draft is not None and draft.exists():
        raise BadInput(f"{draft} exists; name another file with --draft, or remove it")
    if draft is not None and (folder is None or ml_party is None or not provider):
        raise UsageError(
            "a draft names parties and their keys: give --provider NAME=PATH for each provider, --ml-party "
            "NAME, and --folder DIR, a party's folder with the others' cards"
        )
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise UsageError(f"--epsilon is a number above 0, not {epsilon:g}")
    given, agreed = _answers(answers, sets or [])
    compared = None if results is None else _results(results)
    known = _schema(schema)
    read = _tables(provider or [])
    facts = _facts(read, target, known, schema, id, k, epsilon)
    asked = _ask(Situation(given, facts), compared)
    advice = advise_on(Situation(asked, facts), compared)
    more: tuple[str, ...] = ()
    if draft is not None and folder is not None and ml_party is not None:
        more = write_draft(
            advice,
            draft,
            folder=folder,
            tables=read,
            ml_party=ml_party,
            mediator=mediator,
            schema=known,
            target=target,
            id=id,
            answers=agreed,
            base=Path() if answers is None else answers.parent,
            epsilon=epsilon,
            k=k,
        )
    if json is not None:
        write_json(advice.to_dict(), json, mode=PRIVATE)
    if json != "-":
        _print(advice, draft, json, more)
    return 0


def _answers(path: Path | None, sets: list[str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Answers to the questions, and those of the agreement's draft.

    Raises:
        UsageError: for a question that nobody asks.
    """
    from comity.advise.situation import check_answer
    from comity.cli.advise_draft import SECTION
    from comity.cli.agree_questions import put_answer, read_answers
    from comity.errors import UsageError

    given: dict[str, Any] = {} if path is None else read_answers(path)
    for option in sets:
        put_answer(given, option)
    agreed = given.pop(SECTION, {})
    if not isinstance(agreed, dict):
        raise UsageError(f"the answers under '{SECTION}' are a mapping, as comity agree draft takes them")
    return {name: check_answer(name, answer) for name, answer in given.items()}, agreed


def _results(path: Path) -> Any:
    from comity.errors import BadInput

    try:
        return json_module.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"the results {path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise BadInput(
            f"the results {path} are not JSON; make them with: comity compare ... --json FILE"
        ) from None


def _schema(path: Path | None) -> Schema | None:
    from comity.schema import read_schema

    return None if path is None else read_schema(path)


def _facts(
    tables: Mapping[str, Table],
    target: str | None,
    known: Schema | None,
    schema: Path | None,
    id: str | None,
    k: int,
    epsilon: float,
) -> Facts:
    """What the tables show; nothing where none was given."""
    from comity.advise import Facts, measure

    if not tables:
        return Facts()
    base = None if schema is None else schema.parent
    found = target or (None if known is None else known.target)
    print("measuring the tables ...", file=sys.stderr)
    return measure(tables, target=found, schema=known, base=base, id=id, k=k, epsilon=epsilon)


def _tables(providers: list[str]) -> dict[str, Table]:
    from comity.data import read_table
    from comity.errors import UsageError
    from comity.node.card import check_name

    tables: dict[str, Table] = {}
    for each in providers:
        name, separator, path = each.partition("=")
        if not separator or not path:
            raise UsageError(f"--provider takes NAME=PATH, for example north=north.csv, not '{each}'")
        check_name(name)
        if name in tables:
            raise UsageError(f"the provider name '{name}' is given twice")
        tables[name] = read_table(path)
    return tables


def _ask(situation: Any, compared: Any) -> Mapping[str, str]:
    """The answers, with those that were asked at the terminal.

    Raises:
        UsageError: where nobody can be asked, naming what is missing.
    """
    from comity.advise import BY_ID, decide, missing
    from comity.advise.results import Results
    from comity.cli.agree_questions import Questions
    from comity.cli.passphrase import at_terminal
    from comity.errors import UsageError

    answers = dict(situation.answers)
    known = situation.known(None if compared is None else Results.of(compared))
    taken = {name: one.answer for name, one in known.items()}
    questions = Questions({}, ask=at_terminal())
    while True:
        _, name = decide(taken)
        if name is None:
            return answers
        if not questions.ask:
            raise UsageError(
                f"these answers are missing: {', '.join(missing(taken))}. Give them in --answers FILE.yaml, "
                f"by --set QUESTION=ANSWER, or run this at a terminal. '{name}' is needed now, the others "
                "as far as answers lead to them (docs/advise.md)"
            )
        question = BY_ID[name]
        words = "\n" + textwrap.fill(f"{question.text} ({_WHO[question.who]})", _WIDTH)
        choices = {answer: choice.words for answer, choice in question.choices.items()}
        answer = questions.choice(name, words, choices)
        answers[name] = taken[name] = str(answer)


def _print(advice: Advice, draft: Path | None, json: str | None, more: tuple[str, ...]) -> None:
    from rich.console import Console

    from comity.cli.advise_words import told

    console = Console(highlight=False)
    for part in told(advice):
        console.print(part)
    for words in (
        None if json is None else f"JSON: {json}",
        None if draft is None else f"Wrote the draft to {draft}. Read it with: comity agree show {draft}",
        *more,
    ):
        if words is not None:
            console.print(words, markup=False)
