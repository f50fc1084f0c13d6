"""Runs in the environment of the peers, not in comity's: anonymises or measures a table with one of them.

Run by bench/peers.py: python _peer_program.py TASK.json. The task names the table, what to do and where the
answer goes; the answer holds CPU seconds of the call alone, table in memory, after a first call that warms up
nothing but imports.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    do = {"anjana": anonymise, "pycanon": measure}[task["peer"]]
    Path(task["answer"]).write_text(json.dumps(do(task)), encoding="utf-8")


def anonymise(task: dict[str, Any]) -> dict[str, Any]:
    """anjana: one k-anonymous table, levels raised one attribute at a time."""
    import pandas as pd
    from anjana.anonymity import k_anonymity_inner

    frame = pd.read_csv(task["table"], sep=";", dtype=str)
    trees = {}
    for name, path in task["hierarchies"].items():
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file, delimiter=";") if row]
        trees[name] = {level: [row[level] for row in rows] for level in range(len(rows[0]))}
    start = time.process_time()
    released, suppressed, levels = k_anonymity_inner(
        frame, [], list(trees), task["k"], task["percent"], trees
    )
    seconds = time.process_time() - start
    released[list(trees)].to_csv(task["released"], sep=";", index=False)
    return {"cpu_s": seconds, "suppressed": int(suppressed), "levels": {n: int(v) for n, v in levels.items()}}


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """pycanon: the k, l and t that a released table has."""
    import pandas as pd
    from pycanon import anonymity

    frame = pd.read_csv(task["table"], sep=";", dtype=str)
    names, sensitive = task["quasi_identifiers"], [task["sensitive"]]
    found: dict[str, Any] = {}
    for name, call in {
        "k": lambda: anonymity.k_anonymity(frame, names),
        "distinct_l": lambda: anonymity.l_diversity(frame, names, sensitive),
        "entropy_l": lambda: anonymity.entropy_l_diversity(frame, names, sensitive),
        "t": lambda: anonymity.t_closeness(frame, names, sensitive),
    }.items():
        start = time.process_time()
        value = call()
        found[name] = {"value": float(value), "cpu_s": time.process_time() - start}
    return found


if __name__ == "__main__":
    main()
