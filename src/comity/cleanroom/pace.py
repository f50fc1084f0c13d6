"""How long an answer takes is not told as it is: it leaves at one of few times.

How long a job runs depends on the rows and on what it does on them. The first time at which an answer may
leave follows from the number of places, a public number, with room for an idle machine; then twice that, four
times, and so on. What remains is which of these it was. One block can prolong the work by no more than its
own cap, and no block can tell how long others took, so a job cannot bring the end close to one of the times
on purpose: a poor channel, and no proof that nothing is told.
"""

from __future__ import annotations

import time
from typing import Final

_START_S: Final = 0.5
_PLACE_S: Final = 0.0025


def leave_at(begun: float, places: int) -> None:
    """Wait until the next of the times that follow from the number of places.

    Args:
        begun: `time.monotonic()` at the start of the work.
    """
    due = _START_S + places * _PLACE_S
    while due < time.monotonic() - begun:
        due *= 2
    time.sleep(max(0.0, due - (time.monotonic() - begun)))
