"""`comity compare` and `comity try`: every architecture, or one, on the user's own tables."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comity.errors import UsageError, Withheld

if TYPE_CHECKING:
    from collections.abc import Callable

    from comity.cli.progress import Steps
    from comity.compare.run import Comparison

Provider = Annotated[
    list[str],
    typer.Option("--provider", metavar="NAME=PATH", help="A provider and its table; give one per provider."),
]
Target = Annotated[str, typer.Option("--target", help="The column to predict; it has two values.")]
Positive = Annotated[
    str | None,
    typer.Option("--positive", help="The target's value that counts as 1. Default: the rarer one."),
]
Id = Annotated[
    str | None,
    typer.Option("--id", metavar="COLUMN", help="The column of record ids that provider and ML party share."),
]
Test = Annotated[
    str | None,
    typer.Option("--test", metavar="PATH", help="A table to test on. Default: 20% held out from everybody."),
]
SchemaFile = Annotated[
    Path | None, typer.Option("--schema", metavar="SCHEMA.yaml", help="Roles, types and bounds of columns.")
]
Epsilon = Annotated[
    str, typer.Option("--epsilon", metavar="E[,E...]", help="Privacy budget; compare runs each of a list.")
]
Delta = Annotated[float, typer.Option("--delta", help="The delta of (epsilon, delta).")]
K = Annotated[int, typer.Option("--k", help="Group size of k-anonymity.")]
SeedRows = Annotated[
    int, typer.Option("--seed-rows", help="Labelled rows that the ML party starts with, disclosed outright.")
]
Mode = Annotated[
    str | None,
    typer.Option(
        "--mode",
        metavar="MODE",
        help="Of validation: linked (default) or hosted. Of blind-validation: linked (default), entrusted or "
        "encrypted. Of federated, encrypted and clean-room: private (default) or exact.",
    ),
]
Partition = Annotated[
    str, typer.Option("--partition", metavar="rows|columns", help="How the data is split over providers.")
]
Seed = Annotated[int, typer.Option("--seed", help="Fixes splits and models; noise never depends on it.")]
Keep = Annotated[
    Path | None,
    typer.Option(
        "--keep",
        metavar="DIR",
        help="Keep the parties' folders: ledgers, agreements, keys, raw rows, what was received.",
    ),
]
JsonFile = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write the results as JSON; - for standard output."),
]
HtmlFile = Annotated[
    str | None, typer.Option("--html", metavar="FILE", help="Write the results as one self-contained page.")
]
Lines = Annotated[
    bool,
    typer.Option(
        "--progress", help="A line on standard error for every step, also without a terminal (for logs)."
    ),
]


def compare(
    provider: Provider,
    target: Target,
    positive: Positive = None,
    id: Id = None,
    test: Test = None,
    schema: SchemaFile = None,
    epsilon: Epsilon = "1",
    delta: Delta = 1e-6,
    k: K = 5,
    seed_rows: SeedRows = 200,
    architectures: Annotated[
        str | None,
        typer.Option("--architectures", metavar="A,B,...", help="Run these only. Default: all that apply."),
    ] = None,
    mode: Mode = None,
    partition: Partition = "rows",
    seed: Seed = 0,
    keep: Keep = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    progress: Lines = False,
) -> int:
    """Run every way of collaborating on your own tables and compare what each buys and costs.

    This is a pilot: it reads all tables in one place, with the consent of those whose tables they are.
    """
    asked = None if architectures is None else [a.strip() for a in architectures.split(",") if a.strip()]
    comparison = _run(
        provider, target, positive, id, test, schema, epsilon, delta, k, seed_rows, asked, mode, partition,
        seed, keep, json, html, progress, told=lambda found: found.document,
        advice="; comity compare --architectures A,B,... runs fewer at a time",
    )  # fmt: skip
    return _print(comparison, json, html)


def try_one(
    architecture: Annotated[str, typer.Argument()],
    provider: Provider,
    target: Target,
    positive: Positive = None,
    id: Id = None,
    test: Test = None,
    schema: SchemaFile = None,
    epsilon: Epsilon = "1",
    delta: Delta = 1e-6,
    k: K = 5,
    seed_rows: SeedRows = 200,
    mode: Mode = None,
    partition: Partition = "rows",
    seed: Seed = 0,
    keep: Keep = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    progress: Lines = False,
) -> int:
    """Run one architecture on your own tables, and the baselines it is measured against.

    There are plain, direct-release, mediated-release, validation, blind-validation, federated, encrypted,
    homomorphic, synthetic and clean-room, and the baselines alone, alone-provider and pooled.
    """
    if "," in epsilon:
        raise UsageError("comity try runs one epsilon; use comity compare for a list of them")
    comparison = _run(
        provider, target, positive, id, test, schema, epsilon, delta, k, seed_rows, [architecture], mode,
        partition, seed, keep, json, html, progress, told=_only_result, advice="",
    )  # fmt: skip
    return _print(comparison, json, html)


def _only_result(comparison: Comparison) -> object:
    """The result of the one architecture that was asked for.

    Raises:
        Withheld, UsageError: if there is none, with the reason.
    """
    if comparison.document["results"]:
        return comparison.document["results"][0]
    skipped = comparison.document["skipped"][0]
    if "withheld" in skipped:
        withheld = Withheld(skipped["reason"], clause=f"architectures.{skipped['architecture']}")
        withheld.args = (skipped["reason"],)  # the party's words name the clause already
        raise withheld
    raise UsageError(skipped["reason"])


def _run(
    provider: list[str],
    target: str,
    positive: str | None,
    id: str | None,
    test: str | None,
    schema: Path | None,
    epsilon: str,
    delta: float,
    k: int,
    seed_rows: int,
    architectures: list[str] | None,
    mode: str | None,
    partition: str,
    seed: int,
    keep: Path | None,
    json: str | None,
    html: str | None,
    lines: bool,
    *,
    told: Callable[[Comparison], object],
    advice: str,
) -> Comparison:
    """Run it, and write the results.

    Args:
        told: what of them goes to --json.
        advice: what somebody who interrupted it may do instead.
    """
    from comity.cli.interrupt import ended_once
    from comity.cli.output import check_apart, check_writable
    from comity.cli.progress import Steps, line, terminal_progress
    from comity.compare.progress import quiet
    from comity.compare.run import run_comparison
    from comity.compare.settings import Settings

    tables = {f"--provider {each}": each.partition("=")[2] for each in provider}
    check_apart({**tables, "--test": test, "--schema": schema}, {"--json": json, "--html": html})
    check_writable(json, "--json")
    check_writable(html, "--html")
    settings = Settings.parse(
        providers=provider,
        target=target,
        positive=positive,
        id=id,
        test=test,
        schema=schema,
        epsilon=epsilon,
        delta=delta,
        k=k,
        seed_rows=seed_rows,
        architectures=architectures,
        mode=mode,
        partition=partition,
        seed=seed,
        keep=keep,
    )
    steps, written = Steps(quiet), list[str]()
    with ended_once(lambda: _left(steps, written, advice)):
        with nullcontext(line) if lines else terminal_progress() as shown:
            steps = Steps(shown)
            comparison = run_comparison(settings, steps)
        _write(comparison, told(comparison), json, html, written)
    return comparison


def _left(steps: Steps, written: list[str], advice: str) -> str:
    """What an interrupted run leaves: all results or none, and how to have less to lose."""
    ended = "every party's process has been ended"
    if written:
        return f"{ended}; the results were written: {', '.join(written)}"
    return (
        f"{ended}; no result was written, since results are written when all have run ({steps.done} of "
        f"{steps.total} steps were done){advice}"
    )


def _write(
    comparison: Comparison, document: object, json: str | None, html: str | None, written: list[str]
) -> None:
    """Put the files in place together, and note them in `written`; then what goes to standard output."""
    from comity.cli.interrupt import undisturbed
    from comity.cli.output import json_text, made_whole, write_json

    texts: dict[Path, str] = {}
    if html is not None:
        from comity.report import render_page

        texts[Path(html)] = render_page(comparison.document)
    if json is not None and json != "-":
        texts[Path(json)] = json_text(document)
    with made_whole(texts) as put_in_place, undisturbed():
        put_in_place()
        written += map(str, texts)
    if json == "-":
        write_json(document, json)


def _print(comparison: Comparison, json: str | None, html: str | None) -> int:
    if json != "-":
        from rich.console import Console

        from comity.report import render_table

        console = Console()
        console.print(render_table(comparison.document))
        kept = comparison.document.get("keep")
        words = None if kept is None else f"{kept} (raw rows and private keys: guard it like the tables)"
        for name, value in (("JSON", json), ("page", html), ("kept in", words)):
            if value is not None:
                console.print(f"{name}: {value}", markup=False, highlight=False)
    return comparison.exit_code
