"""What a long run tells while it goes on: a bar at a terminal, nothing without one, lines where asked for."""

from __future__ import annotations

import pytest

from comity.cli.progress import Steps, line, terminal_progress


def test_without_a_terminal_nothing_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal_progress() as progress:
        progress(0, 3, "reading tables")
    assert capsys.readouterr() == ("", "")


def test_lines_are_plain_and_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    line(0, 1, "reading tables")
    line(3, 14, "validation, epsilon 1")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "comity: 0 of 1 steps done; now: reading tables\n"
        "comity: 3 of 14 steps done; now: validation, epsilon 1\n"
    )
    assert "\r" not in said.err


def test_steps_remember_how_far_it_came() -> None:
    heard: list[tuple[int, int, str]] = []

    def hear(done: int, total: int, what: str) -> None:
        heard.append((done, total, what))

    steps = Steps(hear)
    steps(2, 9, "plain")
    assert (steps.done, steps.total, heard) == (2, 9, [(2, 9, "plain")])
