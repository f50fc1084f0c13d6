"""Insight reports between parties: signed claims, scored on later rows at the provider."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from comity.errors import ComityError

CLAIMS = """\
- {kind: share, where: {}, low: 0.3, high: 0.8}
- {kind: share, where: {job: [smith]}, low: 0.0, high: 0.05}
- {kind: effect, where: {age: {low: 60, high: null}}, low: 0.2, high: 0.7}
- {kind: share, where: {job: {low: 1, high: 2}}, low: 0.0, high: 1.0}
- {kind: auc, where: {}, low: 0.5, high: 1.0}
"""


def comity(*words: str) -> int:
    from comity.cli.app import app

    try:
        return app(list(words), standalone_mode=False) or 0
    except ComityError as error:
        print(error)
        return error.exit_code


@pytest.fixture
def town(houses: Any, tmp_path: Path) -> Any:
    (tmp_path / "claims.yaml").write_text(CLAIMS)
    town = houses.build_town(tmp_path, ["validation"], parties=("north", "analyst"))
    own = pq.read_table(town.folders["north"].tables_path / "train.parquet")
    later = houses.people("later", 4000, 9)
    import pyarrow as pa

    pq.write_table(pa.concat_tables([later, own]), tmp_path / "later.parquet")
    return town


def test_a_report_is_signed_and_scored_by_commands(
    town: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """4,000 rows of a fixed seed: nothing here is left to chance."""
    claims, report = str(tmp_path / "claims.yaml"), str(tmp_path / "report.json")
    about = ("--agreement", town.agreement.digest[:12], "--out", report)
    assert comity("insight", "sign", claims, "--folder", str(tmp_path / "north"), *about) == 4
    assert comity("insight", "sign", claims, "--folder", str(tmp_path / "analyst"), *about) == 0
    later = ("insight", "score", report, str(tmp_path / "later.parquet"), "--folder", str(tmp_path / "north"))
    capsys.readouterr()
    assert comity(*later, "--positive", "yes", "--json", "-") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["left_out"]) == (4000, 400)
    outcomes = [claim["outcome"] for claim in found["claims"]]
    # bounds on a column of words, and a claim about scores that are not there, say nothing
    assert outcomes == ["holds", "wrong", "holds", "untested", "untested"]
    assert comity(*later, "--positive", "yes") == 0
    assert "2 holds, 1 wrong, 2 untested" in capsys.readouterr().out
    assert comity(*later, "--positive", "yes", "--scores", "age") == 3


def test_a_report_that_was_changed_is_not_scored(town: Any, tmp_path: Path) -> None:
    claims, report = str(tmp_path / "claims.yaml"), tmp_path / "report.json"
    about = ("--agreement", town.agreement.digest[:12], "--out", str(report))
    assert comity("insight", "sign", claims, "--folder", str(tmp_path / "analyst"), *about) == 0
    document = json.loads(report.read_text())
    later = ("insight", "score", str(report), str(tmp_path / "later.parquet"), "--positive", "yes")
    for change, code in (
        ({"time": "2020-01-01T00:00:00+00:00"}, 6),
        ({"claims": document["claims"][:1]}, 6),
        ({"party": "north"}, 4),
        ({"agreement": "ab" * 32}, 3),
        ({"claims": []}, 3),
    ):
        report.write_text(json.dumps({**document, **change}))
        assert comity(*later, "--folder", str(tmp_path / "north")) == code
    report.write_text(json.dumps(document))
    assert comity(*later, "--folder", str(tmp_path / "analyst")) == 4  # it has no data under the agreement


def test_what_are_no_claims(town: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.yaml"
    asked = ("insight", "sign", str(path), "--folder", str(tmp_path / "analyst"), "--out", str(path) + ".out")
    for text, words in (
        ("- {kind: share, where: {}, low: 0.5, high: 0.2}\n", "claim 1"),
        ("kind: share\n", "not a list of claims"),
        ("- {kind: guess, where: {}, low: 0, high: 1}\n", "claim 1"),
    ):
        path.write_text(text)
        assert comity(*asked, "--agreement", town.agreement.digest[:12]) == 3
        assert words in capsys.readouterr().out
    path.unlink()
    assert comity(*asked, "--agreement", town.agreement.digest[:12]) == 3


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("{jb: [clerk]}", "claim 2: 'jb' is no feature of the agreement's data; its features are age, job"),
        ("{ill: ['yes']}", "claim 2: 'ill' is no feature"),
        (
            "{job: [clerk, Smith]}",
            "claim 2: 'Smith' is no level of the column 'job'; its levels are baker, clerk, smith",
        ),
    ],
)
def test_claims_about_what_the_agreement_does_not_have_are_not_signed(
    town: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str, words: str
) -> None:
    path, out = tmp_path / "other.yaml", tmp_path / "report.json"
    path.write_text(
        "- {kind: share, where: {age: {low: 30, high: null}}, low: 0, high: 1}\n"
        f"- {{kind: share, where: {where}, low: 0, high: 1}}\n"
    )
    asked = ("insight", "sign", str(path), "--folder", str(tmp_path / "analyst"), "--out", str(out))
    assert comity(*asked, "--agreement", town.agreement.digest[:12]) == 3
    assert words in capsys.readouterr().out
    assert not out.exists()


def test_a_mistyped_positive_value_condemns_nobody(
    town: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claims, report = str(tmp_path / "claims.yaml"), str(tmp_path / "report.json")
    about = ("--agreement", town.agreement.digest[:12], "--out", report)
    assert comity("insight", "sign", claims, "--folder", str(tmp_path / "analyst"), *about) == 0
    later = ("insight", "score", report, str(tmp_path / "later.parquet"), "--folder", str(tmp_path / "north"))
    assert comity(*later, "--positive", "YES") == 3
    assert "'YES' is no value of the target 'ill'; its values are no, yes" in capsys.readouterr().out
