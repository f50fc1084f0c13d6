"""How far a long run has come, told to whoever wants to know."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called at the start of every step: how many are done, of how many, and what comes now."""

    def __call__(self, done: int, total: int, what: str) -> None: ...


def quiet(done: int, total: int, what: str) -> None:
    """Tell nobody."""
