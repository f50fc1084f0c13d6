"""How long an answer takes is not told as it is: it leaves at one of few times.

How long a provider works on an answer depends on how many rows it has and on what a model does on them, which
are private. So an answer waits for the next of the times `step`, 2 `step`, 4 `step`, ... after its question.
What remains is which of these it was: about 12 possible values up to 20 minutes, and a move from one to the
next only where the work ends near it. Together with sizes inside models that may not follow from the features
(`hosted_model.check_model`) this makes a poor channel; it is no proof that nothing is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

_Made = TypeVar("_Made")

STEP_S: Final = 0.25


def paced(work: Callable[[], _Made], *, step: float) -> _Made:
    """Do the work, and return at the next of the times `step`, 2 `step`, 4 `step`, ... seconds from now.

    An error in it comes out at such a time as well: a refusal tells no more by its time than an answer.
    """
    begun = time.monotonic()
    try:
        made = work()
    except Exception:
        _wait(begun, step)
        raise
    _wait(begun, step)
    return made


def _wait(begun: float, step: float) -> None:
    due = step
    while due < time.monotonic() - begun:
        due *= 2
    time.sleep(max(0.0, due - (time.monotonic() - begun)))
