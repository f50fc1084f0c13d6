"""What a run costs this process: wall time, CPU time, peak resident memory.

CPU time is that of all threads and of every program that this process started and has waited for, such as a
model in the sandbox. A program that had to be killed with its children unwaited for is not counted, and
neither is the memory of such programs: the system keeps their peaks for the process's whole life only.
"""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.wire import Counters

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Measure:
    """Seconds, CPU-seconds of user and system together (started programs included), and MiB."""

    wall_s: float
    cpu_s: float
    peak_rss_mb: float

    def to_dict(self, sent: Counters) -> dict[str, Any]:
        """As `cost` of a party's part of a run, with what it sent."""
        return {
            "wall_s": self.wall_s,
            "cpu_s": self.cpu_s,
            "peak_rss_mb": self.peak_rss_mb,
            "bytes_sent": sent.bytes_sent,
            "messages": sent.messages,
        }


class Meter:
    """Measures from its creation to `read`."""

    def __init__(self) -> None:
        _reset_peak()
        self._wall = time.monotonic()
        self._cpu = _cpu_s()

    def read(self) -> Measure:
        return Measure(
            wall_s=time.monotonic() - self._wall,
            cpu_s=_cpu_s() - self._cpu,
            peak_rss_mb=_peak_rss_mb(),
        )


def _cpu_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _reset_peak() -> None:
    # Linux keeps the high-water mark for a process's life unless told to start over (proc(5)).
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        return


def _peak_rss_mb() -> float:
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024) if sys.platform == "darwin" else peak / 1024
