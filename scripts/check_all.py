"""`make lint`: every check of the repository itself, one line per check, all of them run even if one fails.

Exit code: 0 if all passed, 1 otherwise.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent

CHECKS: tuple[tuple[str, list[str]], ...] = (
    ("ruff check", [str(BIN / "ruff"), "check", "."]),
    ("ruff format", [str(BIN / "ruff"), "format", "--check", "."]),
    ("pyright", [str(BIN / "pyright")]),
    ("layers", [str(BIN / "lint-imports"), "--no-cache"]),
    ("files", [sys.executable, "scripts/check_files.py"]),
    ("import comity", [sys.executable, "scripts/check_import.py"]),
    ("dependencies", [sys.executable, "scripts/check_dependencies.py"]),
)


def run_check(name: str, command: list[str]) -> bool:
    """Run one check and print its line; its output follows only if it failed."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    verdict = "ok" if done.returncode == 0 else "FAILED"
    print(f"{name:<16} {verdict:<7} {time.perf_counter() - started:6.1f} s", flush=True)
    if done.returncode != 0:
        print((done.stdout + done.stderr).rstrip(), flush=True)
    return done.returncode == 0


def main() -> int:
    passed = [run_check(name, command) for name, command in CHECKS]
    print(f"{sum(passed)} of {len(passed)} checks passed")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
