"""`comity insight sign|score`: claims of an ML party, scored on a provider's later rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from comity.cli.agree_files import FolderOption, JsonFile, PassphraseFile, folder_of, folder_with_key

app = typer.Typer(
    help="Insight reports: claims that an ML party signs, and a provider scores on its own later rows.",
    no_args_is_help=True,
)


@app.command("sign")
def sign(
    claims: Annotated[
        Path,
        typer.Argument(metavar="CLAIMS", help="A list in YAML or JSON, each with kind, where, low, high."),
    ],
    folder: FolderOption,
    agreement: Annotated[
        str, typer.Option("--agreement", metavar="DIGEST", help="The agreement's digest, or its beginning.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the report.")],
    passphrase_file: PassphraseFile = None,
) -> int:
    """As the ML party, sign claims about what was learned, for the providers.

    A claim's kind is share (of positives in a group), effect (how much larger that share is than outside),
    auc or accuracy (of the model); where names the group by column, with a list of levels or low and high
    (low <= value < high); low and high bound the quantity.
    """
    from comity.cli.agree_files import located
    from comity.cli.output import check_apart, check_writable, write_json
    from comity.node.insights import read_claims, sign_report

    check_apart({"CLAIMS": claims}, {"--out": out})
    check_writable(str(out), "--out")
    about, _ = located(agreement, folder)
    found = read_claims(claims)
    report = sign_report(folder_with_key(folder, passphrase_file), about, found)
    write_json(report.to_dict(), str(out))
    for claim in report.claims:
        print(f"  {claim.words()}")
    print(f"Wrote {out}, {len(report.claims)} claims. Send it to the providers, each of which runs:")
    print(f"  comity insight score {out} LATER_ROWS --positive VALUE --folder DIR")
    return 0


@app.command("score")
def score(
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="What comity insight sign wrote.")],
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="Later rows, with the agreement's columns: CSV, Parquet, Arrow, or a URL."
        ),
    ],
    folder: FolderOption,
    positive: Annotated[
        str, typer.Option("--positive", metavar="VALUE", help="The target's value that counts as positive.")
    ],
    scores: Annotated[
        str | None,
        typer.Option("--scores", metavar="COLUMN", help="The model's probabilities, for claims about it."),
    ] = None,
    json: JsonFile = None,
) -> int:
    """As a provider, hold a report's claims against later rows. What comes of it stays here.

    Rows whose id is in the loaded table are left out: answers were computed from them. A claim is wrong where
    its interval and the 99% interval of what is seen do not meet.
    """
    from comity.cli.output import PRIVATE, check_apart, check_writable, write_json
    from comity.node.card import read_json
    from comity.node.insights import score as held_against
    from comity.validate.insight import InsightReport, Outcome

    check_apart({"REPORT": report, "TABLE": table}, {"--json": json})
    check_writable(json, "--json")
    read = InsightReport.from_dict(read_json(report, "the report"))
    found = held_against(folder_of(folder), read, table, positive, scores=scores)
    if json is not None:
        write_json(found.to_dict(), json, mode=PRIVATE)
    if json != "-":
        print(f"Signed by '{read.party}', {read.time[:10]}; {found.rows:,} later rows were looked at.")
        if found.left_out:
            print(f"{found.left_out:,} more are in this party's table and were left out.")
        for scored in found.claims:
            print(f"  {scored.words()}")
        print(", ".join(f"{found.count(outcome)} {outcome}" for outcome in Outcome))
    return 0
