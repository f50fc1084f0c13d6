"""`comity clean-room`: writing a job on a mock table, checking it, approving it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from comity import sandbox
from comity.cleanroom.approval import approved
from comity.cleanroom.jobfile import read_job_file
from comity.cleanroom.seen import seen
from comity.cli.agree_files import folder_with_key, open_ledger
from comity.cli.app import app
from comity.errors import BadInput, UsageError

SCHEMA = """
columns:
  id: {role: identifier, type: text}
  age: {role: quasi_identifier, type: integer, min: 18, max: 90}
  ward: {role: insensitive, type: category, values: [heart, knee, lung]}
"""
JOB: dict[str, Any] = {
    "title": "How many",
    "program": "count.py",
    "columns": ["ward", "age"],
    "kind": "statistic",
    "outputs": [{"name": "count", "length": 1, "norm": 1.0}],
    "blocks": {"number": 20},
}


def run(*words: str) -> int:
    return app(["clean-room", *words], standalone_mode=False)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    reason = sandbox.missing()
    assert reason is None, f"install bubblewrap to run these tests: {reason}"
    (tmp_path / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    (tmp_path / "job.yaml").write_text(json.dumps(JOB), encoding="utf-8")
    (tmp_path / "count.py").write_text(
        "def run(rows, parameters):\n    return {'count': [len(rows['age']) / 50]}\n", encoding="utf-8"
    )
    return tmp_path


def test_a_mock_table_is_written(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mock", str(files / "schema.yaml"), "--rows", "50", "--out", str(files / "mock.csv")) == 0
    with open(files / "mock.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 50
    assert set(rows[0]) == {"age", "ward"}
    assert {"18", "90"} <= {row["age"] for row in rows}
    told = capsys.readouterr().out
    assert "50 made-up rows" in told
    assert "  id: identifier of type text, without values\n" in told
    assert f"To keep a column, add to {files / 'schema.yaml'} its values." in told
    assert "Dates and free texts have too many" in told


def test_a_mock_table_says_which_columns_it_leaves_out_and_how_to_keep_them(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = "  pulse: {role: insensitive, type: number, min: 30}\n"
    more += '  "a\\u001b[2J": {role: insensitive, type: text}\n'
    (files / "schema.yaml").write_text(SCHEMA + more, encoding="utf-8")
    assert run("mock", str(files / "schema.yaml"), "--out", str(files / "mock.csv")) == 0
    told = capsys.readouterr().out
    assert "  pulse: insensitive of type number, without min and max\n" in told
    assert "its min and max or its values." in told
    assert "\x1b" not in told
    (files / "schema.yaml").write_text(SCHEMA.replace("  id: {role: identifier, type: text}\n", ""), "utf-8")
    assert run("mock", str(files / "schema.yaml"), "--out", str(files / "mock.csv")) == 0
    assert "Left out" not in capsys.readouterr().out


def test_a_check_says_what_would_leave(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = files / "check.json"
    assert run("check", str(files / "job.yaml"), str(files / "schema.yaml"), "--json", str(result)) == 0
    told = capsys.readouterr().out
    assert "count: 1 numbers, cut to length 1, noise of" in told
    assert "20 of 20 blocks gave what is declared" in told or "16 of 16 blocks" in told
    document = json.loads(result.read_text(encoding="utf-8"))
    assert document["outputs"][0]["noise"] > 5
    assert document["digest"] == read_job_file(files / "job.yaml")[0].digest


def test_a_check_tells_the_programs_own_error(files: Path) -> None:
    for program, says in (
        ("def run(rows, parameters):\n    return {'count': [rows['nothing']]}\n", "KeyError: 'nothing'"),
        ("def run(rows, parameters:\n", "SyntaxError"),
        ("import socket\ndef run(rows, parameters):\n    return {'count': [1.0]}\n", "opens no file"),
    ):
        (files / "count.py").write_text(program, encoding="utf-8")
        with pytest.raises(BadInput, match=says):
            run("check", str(files / "job.yaml"), str(files / "schema.yaml"))


def test_a_check_tells_why_some_blocks_gave_nothing(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = "def run(rows, parameters):\n    return {'count': [1.0 if rows['age'][0] < 45 else years]}\n"
    (files / "count.py").write_text(program, encoding="utf-8")
    each = {**JOB, "blocks": {"most": 20}}
    (files / "job.yaml").write_text(json.dumps(each), encoding="utf-8")
    assert run("check", str(files / "job.yaml"), str(files / "schema.yaml")) == 0
    told = capsys.readouterr().out
    assert "the others count as nothing" in told
    assert "NameError: name 'years' is not defined" in told


def test_a_check_tells_how_long_an_output_is(files: Path) -> None:
    program = "def run(rows, parameters):\n    return {'count': [1.0, 2.0]}\n"
    (files / "count.py").write_text(program, encoding="utf-8")
    with pytest.raises(BadInput, match="output 'count' has 2 numbers; the job declares 1"):
        run("check", str(files / "job.yaml"), str(files / "schema.yaml"))


def test_a_check_says_that_a_model_cannot_leave_as_it_is_declared(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The room attacks a model with rows that it can score: whether it can is known before it is run."""
    model: dict[str, Any] = {"kind": "model", "outputs": [{"name": "count", "length": 1}]}
    job = {name: value for name, value in (JOB | model).items() if name != "blocks"}
    for parameters, held in (({}, True), ({"levels": [0.0], "positive": [1.0]}, False)):
        (files / "job.yaml").write_text(json.dumps(job | {"parameters": parameters}), encoding="utf-8")
        assert run("check", str(files / "job.yaml"), str(files / "schema.yaml")) == 0
        assert ("would be held back for certain" in capsys.readouterr().out) is held


def test_a_job_file_without_its_program_says_so(files: Path) -> None:
    job = {name: value for name, value in JOB.items() if name != "program"}
    (files / "job.yaml").write_text(json.dumps(job), encoding="utf-8")
    with pytest.raises(BadInput, match="name its file as program"):
        run("check", str(files / "job.yaml"), str(files / "schema.yaml"))


def test_parameters_without_numbers_are_asked_for(files: Path) -> None:
    (files / "job.yaml").write_text(json.dumps({**JOB, "parameters": {"weights": 3}}), encoding="utf-8")
    with pytest.raises(BadInput, match="give the numbers of weights"):
        run("check", str(files / "job.yaml"), str(files / "schema.yaml"))


def test_a_steward_approves_after_reading(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMITY_PASSPHRASE", "a long enough passphrase")
    app(["party", "init", "north", "--folder", str(files / "north")], standalone_mode=False)
    words = [str(files / "job.yaml"), str(files / "schema.yaml"), "--folder", str(files / "north")]
    capsys.readouterr()
    with pytest.raises(UsageError, match="nothing was approved"):
        run("approve", *words, "--steward", "Kay")
    assert run("approve", *words, "--steward", "Kay", "--yes") == 0
    told = capsys.readouterr().out
    assert "return {'count': [len(rows['age']) / 50]}" in told
    assert "Approved by Kay" in told
    with open_ledger(folder_with_key(files / "north", None), None) as ledger:
        assert approved(ledger, read_job_file(files / "job.yaml")[0])


WARDS = {
    "title": "Wards",
    "columns": ["ward", "age"],
    "kind": "statistic",
    "statistics": [{"count": "records", "by": ["ward"]}, {"mean": "age", "share": 3}],
}


def test_declared_statistics_are_shown_with_their_noise(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They need no sandbox; check and approval show the same."""
    monkeypatch.setattr(sandbox, "missing", lambda: "nothing that is here")
    monkeypatch.setenv("COMITY_PASSPHRASE", "a long enough passphrase")
    (files / "job.yaml").write_text(json.dumps(WARDS), encoding="utf-8")
    words, result = [str(files / "job.yaml"), str(files / "schema.yaml")], files / "check.json"
    assert run("check", *words, "--epsilon", "2", "--json", str(result)) == 0
    told = capsys.readouterr().out
    assert "for epsilon 2, delta 0 all together" in told
    assert "count by ward: 3 figures, epsilon 0.5, by comity; on made-up rows +- 6" in told
    document = json.loads(result.read_text(encoding="utf-8"))
    assert [one["epsilon"] for one in document["statistics"]] == [0.5, 1.5]
    assert [one["of"] for one in document["statistics"][0]["figures"]] == ["heart", "knee", "lung"]
    app(["party", "init", "north", "--folder", str(files / "north")], standalone_mode=False)
    assert run("approve", *words, "--folder", str(files / "north"), "--steward", "Kay", "--yes") == 0
    assert "mean of age: 1 figure, epsilon 0.75" in capsys.readouterr().out
    (files / "job.yaml").write_text(json.dumps(WARDS | {"statistics": [{"mode": "age"}]}), encoding="utf-8")
    with pytest.raises(BadInput, match="one of: count, sum"):
        run("check", *words)


def test_all_that_a_job_may_take_is_shown(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = {"modules": ["math"], "blocks": {"number": 20, "cpu_s": 2.0}, "memory_mb": 900}
    (files / "job.yaml").write_text(json.dumps(JOB | more), encoding="utf-8")
    assert run("check", str(files / "job.yaml"), str(files / "schema.yaml")) == 0
    told = capsys.readouterr().out
    assert "blocks: number 20, cpu_s 2.0" in told
    assert "modules: math" in told
    assert "memory mb: 900" in told
    assert "leaves after about 44.6 s" in told


def test_a_name_cannot_show_the_steward_another_program(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Signs that a terminal obeys would wipe the program away and write another one in its place."""
    outputs = [{"name": "\x1b[2J\x1b[Hdef run(rows, parameters):\n    return {}", "length": 1, "norm": 1.0}]
    (files / "job.yaml").write_text(json.dumps(JOB | {"outputs": outputs}), encoding="utf-8")
    words = [str(files / "job.yaml"), str(files / "schema.yaml")]
    with pytest.raises(BadInput, match="its names are one line each"):
        run("approve", *words, "--folder", str(files / "north"), "--steward", "Kay", "--yes")
    for change in ({"title": "\x1b[2J"}, {"modules": ["\x1b[2J"]}, {"\x1b[2J": 1}):
        (files / "job.yaml").write_text(json.dumps(JOB | change), encoding="utf-8")
        with pytest.raises(BadInput) as told:
            run("check", *words)
        assert "\x1b" not in str(told.value)
    assert "\x1b" not in capsys.readouterr().out
    assert seen("a\x1b[2J\u202e\nb") == "a\\x1b[2J\\u202e\\nb"
    assert seen("a\tb\nc\r", lines=True) == "a\tb\nc\\r"


def test_what_mixes_an_output_and_its_share_are_shown(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = [{"name": "count", "length": 1, "norm": 1.0, "mix": "root", "share": 2.5}]
    more = {"outputs": outputs, "parameters": {"root": [1.0]}}
    (files / "job.yaml").write_text(json.dumps(JOB | more), encoding="utf-8")
    assert run("check", str(files / "job.yaml"), str(files / "schema.yaml")) == 0
    told = capsys.readouterr().out
    assert "mixed by the parameter root" in told
    assert "share 2.5" in told
    assert f"digest: {read_job_file(files / 'job.yaml')[0].digest}" in told
