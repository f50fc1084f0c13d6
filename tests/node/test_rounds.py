"""Rounds and workers: what is taken together, and how quickly both stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from comity.node.rounds import Rounds
from comity.node.worker import Worker, stop_all


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_comes_in_during_a_round_is_taken_together_in_the_next() -> None:
    rounds: list[list[str]] = []
    first, go_on = threading.Event(), threading.Event()

    def work(items: list[str]) -> list[str]:
        rounds.append(list(items))
        first.set()
        assert go_on.wait(20)
        return []

    served = Rounds("test", work, lambda item, error: None, lambda item: item)
    served.put("a")
    assert first.wait(20)
    for item in "bcd":
        served.put(item)
    go_on.set()
    served.stop(20)
    assert rounds == [["a"], ["b", "c", "d"]]


def test_what_is_left_over_is_taken_first_and_a_failed_round_is_told_to_each() -> None:
    failed: list[tuple[str, str]] = []
    done: list[str] = []
    ended = threading.Event()

    def work(items: list[str]) -> list[str]:
        if "bad" in items:
            raise ValueError("no")
        done.append(items[0])
        if items[0] == "last":
            ended.set()
        return items[1:]

    served = Rounds("test", work, lambda item, error: failed.append((item, str(error))), lambda item: item)
    for item in ("one", "two", "three"):
        served.put(item)
    until(lambda: len(done) == 3)
    served.put("bad")
    until(lambda: bool(failed))
    served.put("last")
    assert ended.wait(20)
    served.stop(20)
    assert done == ["one", "two", "three", "last"]
    assert failed == [("bad", "no")]
    served.put("late")
    assert failed[-1] == ("late", "the node is being stopped")


def test_an_idle_worker_stops_at_once_and_one_that_hangs_holds_nobody_up() -> None:
    hangs = threading.Event()

    def idle() -> None:
        workers[0].woken.wait(timeout=60)
        workers[0].woken.clear()

    workers = [Worker("idle", idle), Worker("hangs", lambda: hangs.wait(20) or None)]
    for worker in workers:
        worker.start()
    start = time.monotonic()
    workers[0].stop()
    stop_all(workers)
    # at once, and 0.3 s for the one that hangs; the bound leaves room for a busy machine
    assert time.monotonic() - start < 5
    hangs.set()


def test_a_worker_that_never_began_is_stopped_too() -> None:
    Worker("never", lambda: pytest.fail("it was not started")).stop()
