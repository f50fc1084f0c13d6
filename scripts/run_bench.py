"""`make bench`: run every script in bench/, one after the other, and print the ratios each of them prints.

A bench script is `bench/<name>.py`; it prints its ratios to standard output and exits 0. It may take its
peer (a library that comity is measured against) from an environment of its own; if the peer cannot be had,
the script says so and exits 3, which is reported and does not fail the run.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PEER_MISSING = 3


def main() -> int:
    scripts = sorted(path for path in (ROOT / "bench").glob("*.py") if not path.name.startswith("_"))
    if not scripts:
        print("bench/ holds no script yet: nothing to measure")
        return 0
    failed: list[str] = []
    for script in scripts:
        print(f"== {script.stem}", flush=True)
        started = time.perf_counter()
        code = subprocess.run([sys.executable, str(script)], cwd=ROOT, check=False).returncode
        verdict = {0: "done", PEER_MISSING: "peer not available"}.get(code, f"FAILED (exit {code})")
        print(f"== {script.stem}: {verdict} in {time.perf_counter() - started:.1f} s\n", flush=True)
        if code not in (0, PEER_MISSING):
            failed.append(script.stem)
    print(
        f"{len(scripts) - len(failed)} of {len(scripts)} ran"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
