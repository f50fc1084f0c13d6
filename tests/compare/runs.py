"""Tables, settings and processes for tests that run whole comparisons."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

from comity.compare.settings import Settings


def write_table(path: Path, rows: int, seed: int) -> Path:
    draw = random.Random(seed)
    lines = ["pid,age,job,pulse,ill"]
    for row in range(rows):
        age, job, pulse = draw.randint(18, 80), draw.choice("abc"), round(draw.gauss(70, 9), 1)
        chance = 0.1 + 0.5 * (age > 50) + 0.3 * (job == "b")
        lines.append(f"{seed}-{row},{age},{job},{pulse},{'yes' if draw.random() < chance else 'no'}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def settings_for(folder: Path, names: tuple[str, ...] = ("north", "south"), **changes: Any) -> Settings:
    """Settings over made-up tables of 500 rows, whose target can be learned from the features."""
    paths = {name: write_table(folder / f"{name}.csv", 500, n) for n, name in enumerate(names)}
    given: dict[str, Any] = {
        "providers": [f"{name}={path}" for name, path in paths.items()],
        "target": "ill",
        "positive": "yes",
        "id": "pid",
        "test": None,
        "schema": None,
        "epsilon": "1",
        "delta": 1e-6,
        "k": 5,
        "seed_rows": 40,
        "architectures": None,
        "mode": None,
        "partition": "rows",
        "seed": 0,
        "keep": None,
    }
    return Settings.parse(**(given | changes))


def processes_of(folder: Path) -> list[int]:
    """Processes of parties whose folder lies in `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"comity.node" in words and any(word.startswith(os.fsencode(folder)) for word in words):
                found.append(int(entry.name))
    return found
