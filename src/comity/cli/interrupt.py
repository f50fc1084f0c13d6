"""Ctrl-C while something long runs: it ends once, cleans up undisturbed, and says what became of the work."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """Somebody ended the command; the words say what was not done, to stand behind "interrupted"."""


@contextmanager
def ended_once(words: Callable[[], str]) -> Iterator[None]:
    """Whatever ends what runs inside comes out as `Interrupted`, after everything inside has cleaned up.

    Pressed again, Ctrl-C is not heard any more: it would leave processes and raw tables behind, and the
    command is about to end.

    Args:
        words: asked for afterwards, when what was done is known.

    Raises:
        Interrupted: instead of KeyboardInterrupt.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals come to the main thread, which sees to them
        return
    # one that is ignored stays ignored: a job in the background, or under nohup
    heard = {each: signal.getsignal(each) for each in ENDINGS if signal.getsignal(each) != signal.SIG_IGN}

    ending: list[int] = []

    def end(number: int, _frame: object) -> None:
        ending.append(number)
        for each in heard:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in heard:
        signal.signal(each, end)
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(words()) from None
    finally:
        if not ending:
            for each, before in heard.items():
                signal.signal(each, before)


@contextmanager
def undisturbed() -> Iterator[None]:
    """What runs inside, a moment's work, is done whole: what ends the command is heard after it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = {each: signal.getsignal(each) for each in ENDINGS if signal.getsignal(each) != signal.SIG_IGN}
    late: list[int] = []
    for each in heard:
        signal.signal(each, lambda number, _frame: late.append(number))
    try:
        yield
    finally:
        for each, before in heard.items():
            signal.signal(each, before)
        if late:
            signal.raise_signal(late[0])
