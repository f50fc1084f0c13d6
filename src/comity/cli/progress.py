"""Progress on standard error: a bar at a terminal, quiet without one, or lines where they are asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from comity.compare.progress import Progress, quiet


class Steps:
    """A progress that remembers how far it came, and tells another one.

    Attributes:
        done, total: steps that are finished, of how many.
    """

    def __init__(self, told: Progress) -> None:
        self.done = 0
        self.total = 0
        self._told = told

    def __call__(self, done: int, total: int, what: str) -> None:
        self.done, self.total = done, total
        self._told(done, total, what)


def line(done: int, total: int, what: str) -> None:
    """A plain line at the start of every step, for a log: it says what is done, and what comes now."""
    print(f"comity: {done} of {total} steps done; now: {what}", file=sys.stderr, flush=True)


@contextmanager
def terminal_progress() -> Iterator[Progress]:
    """A progress that draws a bar and what is being done, or does nothing if nobody is looking."""
    if not sys.stderr.isatty():
        yield quiet
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("starting", total=None)

        def show(done: int, total: int, what: str) -> None:
            bars.update(task, completed=done, total=total, description=what)

        yield show
