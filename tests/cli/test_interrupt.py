"""Ctrl-C ends a run once, and says what became of the work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from comity.cli.interrupt import ENDINGS, Interrupted, ended_once, undisturbed


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_second_ctrl_c_does_not_break_the_cleaning_up(ending: signal.Signals) -> None:
    def ignored(_number: int, _frame: object) -> None:
        raise AssertionError("the handler from before was asked")

    before = {each: signal.getsignal(each) for each in ENDINGS}
    for each in ENDINGS:
        signal.signal(each, ignored)
    cleaned: list[str] = []

    def ended_and_ended_again() -> None:
        try:
            os.kill(os.getpid(), ending)
            time.sleep(5)
        finally:
            for each in ENDINGS:
                os.kill(os.getpid(), each)
            cleaned.append("all")

    try:
        with pytest.raises(Interrupted, match="1 of 3"), ended_once(lambda: f"{len(cleaned)} of 3"):
            ended_and_ended_again()
        assert cleaned == ["all"]
        os.kill(os.getpid(), ending)  # the command is about to end: it is not heard any more
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_what_is_ignored_stays_ignored_and_other_errors_pass() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ended_once(lambda: "never"):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    heard = [signal.getsignal(each) for each in ENDINGS]
    with pytest.raises(ValueError, match="as it is"), ended_once(lambda: "never"):
        raise ValueError("as it is")
    assert [signal.getsignal(each) for each in ENDINGS] == heard


def test_in_another_thread_it_does_nothing() -> None:
    seen: list[object] = []

    def run() -> None:
        with ended_once(lambda: "never"):
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_run_under_nohup_outlives_its_terminal() -> None:
    """SIGHUP that is ignored when the command starts stays ignored."""
    text = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "import sys; sys.argv = ['comity', '--help']\n"
        "from comity.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines()[-1] == "True", done.stderr


def test_what_is_undisturbed_is_done_before_the_end_is_heard() -> None:
    done: list[str] = []

    def ended_on_the_way() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        done.append("all")

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), undisturbed():
            ended_on_the_way()
        assert done == ["all"]
        assert signal.getsignal(signal.SIGTERM) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)
