"""How long an answer takes is not told as it is: it leaves at a time that public numbers fix.

How long a job runs depends on the rows and on what it does on them. Each block has a cap on its time on the
processor that it cannot lift. An answer leaves when all blocks together could have taken all that they may:
a job cannot bring the end past that time, whatever it does. Only a machine that is too busy to give the
blocks their time by then, or work on the rows outside the blocks that takes longer, can; the next times are
twice, four times, ... the first one. Jobs whose result is exact have no blocks with such a cap: for them the
times start low, and a job can choose which of them it is (a few bits, with certainty).
"""

from __future__ import annotations

import time
from typing import Final

_START_S: Final = 0.5
_PLACE_S: Final = 0.001
"""What making and ending a block's process takes, on an idle machine."""
_TICK_S: Final = 0.004
"""A cap is looked at when the system's clock ticks, 250 times a second or more."""

_ENDING: Final = 1.1
"""Memory that a block has taken is given back after it was killed: a tenth of what taking it took."""


def leaves_after(places: int, cpu_s: float) -> float:
    """Seconds from the start of the work to the first time at which an answer leaves. Public.

    Args:
        places: how many blocks may be run.
        cpu_s: the cap on a block's time on the processor.
    """
    return _START_S + places * (_PLACE_S + _ENDING * cpu_s + _TICK_S)


def leave_at(begun: float, first: float) -> None:
    """Wait until the first time, or twice that, four times, ..., if it has passed.

    Args:
        begun: `time.monotonic()` at the start of the work.
        first: seconds from there, as `leaves_after` says.
    """
    due = first
    while due < time.monotonic() - begun:
        due *= 2
    time.sleep(max(0.0, due - (time.monotonic() - begun)))
