"""`import comity` is silent, light and quick: it loads nothing from outside the standard library.

Exit code: 0 if the import takes under 0.3 s, prints nothing, starts no thread and loads no engine.
"""

from __future__ import annotations

import json
import subprocess
import sys

LIMIT_S = 0.3
ATTEMPTS = 5  # the fastest counts: a busy machine can only slow an import down

_PROBE = """
import json, sys, threading, time
before = set(sys.modules)
started = time.perf_counter()
import comity
seconds = time.perf_counter() - started
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps({
    "seconds": seconds,
    "foreign": sorted(loaded - set(sys.stdlib_module_names) - {"comity"}),
    "threads": threading.active_count(),
}))
"""


def probe() -> dict[str, object]:
    """One import in a new process."""
    done = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"import comity failed:\n{done.stderr}")
    *noise, last = done.stdout.splitlines()
    if noise or done.stderr:
        sys.exit(f"import comity is not silent: {noise} {done.stderr}")
    return json.loads(last)


def main() -> int:
    probes = [probe() for _ in range(ATTEMPTS)]
    seconds = min(float(str(found["seconds"])) for found in probes)
    faults: list[str] = []
    if seconds >= LIMIT_S:
        faults.append(f"import comity takes {seconds:.3f} s; the limit is {LIMIT_S} s")
    if probes[0]["foreign"]:
        faults.append(
            f"import comity loads {probes[0]['foreign']}; import them inside the functions that need them"
        )
    if probes[0]["threads"] != 1:
        faults.append(f"import comity leaves {probes[0]['threads']} threads running")
    print("\n".join(faults) or f"import comity: {seconds * 1000:.0f} ms, standard library only")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
