"""What a run costs this process: wall time, CPU time of all threads, peak resident memory."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Measure:
    """Seconds, CPU-seconds of user and system together, and MiB."""

    wall_s: float
    cpu_s: float
    peak_rss_mb: float


class Meter:
    """Measures from its creation to `read`."""

    def __init__(self) -> None:
        _reset_peak()
        self._wall = time.monotonic()
        self._cpu = time.process_time()

    def read(self) -> Measure:
        return Measure(
            wall_s=time.monotonic() - self._wall,
            cpu_s=time.process_time() - self._cpu,
            peak_rss_mb=_peak_rss_mb(),
        )


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
