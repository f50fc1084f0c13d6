"""What `comity compare` and `comity try` say of themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from comity.architectures import find, names
from comity.cli.compare import compare, try_one
from comity.cli.interrupt import ENDINGS, Interrupted
from comity.compare.progress import Progress
from comity.compare.run import Comparison
from comity.errors import BadInput


def help_of(command: str) -> str:
    words = [sys.executable, "-c", "from comity.cli import main; main()", command, "--help"]
    wide = {**os.environ, "COLUMNS": "400"}
    return subprocess.run(words, capture_output=True, text=True, timeout=180, check=True, env=wide).stdout


@pytest.mark.parametrize("command", ["try", "compare"])
def test_every_architecture_and_mode_is_named(command: str) -> None:
    told = help_of(command)
    chosen = next(line for line in told.splitlines() if "--mode" in line)
    for name in names():
        modes = find(name).modes
        assert all(mode in chosen for mode in modes)
        assert not modes or name in chosen
        assert command == "compare" or name in told


@pytest.mark.parametrize("progress", [False, True])
def test_without_a_terminal_steps_are_told_where_they_are_asked_for(
    progress: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ends_soon(settings: object, told: Progress) -> None:
        told(1, 4, "alone")
        raise BadInput("enough")

    monkeypatch.setattr("comity.compare.run.run_comparison", ends_soon)
    with pytest.raises(BadInput, match="enough"):
        compare(provider=["north=north.csv"], target="ill", progress=progress)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == ("comity: 1 of 4 steps done; now: alone\n" if progress else "")


@pytest.mark.parametrize("command", [compare, partial(try_one, "plain")])
def test_an_interrupted_run_says_that_nothing_was_written(
    command: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(settings: object, told: Progress) -> None:
        told(3, 14, "plain")
        raise KeyboardInterrupt

    monkeypatch.setattr("comity.compare.run.run_comparison", interrupted)
    with pytest.raises(Interrupted, match=r"no result was written.*3 of 14 steps") as ended:
        command(provider=["north=north.csv"], target="ill")
    # try has no such option
    assert ("comity compare --architectures" in str(ended.value)) == (command is compare)


@pytest.mark.parametrize("ending", ENDINGS)
def test_ended_while_results_are_written_both_files_stand_or_none(
    ending: signal.Signals, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def ran(settings: object, told: Progress) -> Comparison:
        return Comparison({"results": []}, 0)

    def placed(made: Path, path: Path) -> None:
        signal.raise_signal(ending)
        replace(made, path)

    replace = os.replace
    before = {each: signal.getsignal(each) for each in ENDINGS}
    monkeypatch.setattr("comity.compare.run.run_comparison", ran)
    monkeypatch.setattr("comity.report.render_page", lambda document: "a page")
    monkeypatch.setattr("os.replace", placed)
    json, html = tmp_path / "r.json", tmp_path / "r.html"
    try:
        with pytest.raises(Interrupted, match=r"the results were written: .*r\.html, .*r\.json"):
            compare(provider=["north=north.csv"], target="ill", json=str(json), html=str(html))
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert sorted(tmp_path.iterdir()) == [html, json]


def test_ended_before_the_results_are_written_nothing_stands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def ended(document: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("comity.compare.run.run_comparison", lambda *_: Comparison({"results": []}, 0))
    monkeypatch.setattr("comity.report.render_page", ended)
    with pytest.raises(Interrupted, match="no result was written"):
        compare(
            provider=["north=north.csv"],
            target="ill",
            json=str(tmp_path / "r.json"),
            html=str(tmp_path / "r.html"),
        )
    assert list(tmp_path.iterdir()) == []
