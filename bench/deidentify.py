"""Generalisation: CPU seconds, loss and memory, beside the figures recorded for ARX on the same task.

Run: python bench/deidentify.py [--rows 3000000] [--json FILE]

The Adult of ARX's repository (30,162 rows) is read from ../shared/data/adult; without that folder the Adult
that comity ships stands in, and no figure is compared. ARX's own figures are recorded, not measured here: 655
ms of CPU for the global optimum (Java, warm), loss 0.0563 for its best local recoding, both at k = 5, limit
0.05.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "adult"
ARX_CPU_S = 0.655
ARX_LOCAL_LOSS = 0.0563
REPEATS = 7


def adult() -> tuple[Any, dict[str, Any], bool]:
    """A pandas frame, hierarchies of its quasi-identifiers, and whether ARX's figures are for it."""
    import pandas as pd

    from comity.deidentify import Hierarchy

    if SHARED.is_dir():
        frame = pd.read_csv(SHARED / "adult.csv", sep=";")
        names = [name for name in frame.columns if name != "salary-class"]
        return frame, {n: Hierarchy.read_csv(SHARED / f"adult_hierarchy_{n}.csv") for n in names}, True
    from comity.data import adult_hierarchies, load_adult

    trees = {name: Hierarchy.read_csv(path) for name, path in adult_hierarchies().items()}
    return load_adult().arrow.to_pandas(), trees, False


def timed(**settings: Any) -> tuple[float, Any]:
    """The least CPU seconds of several warm runs, and what came of it."""
    from comity.deidentify import KAnonymity, anonymize

    frame, trees, _ = adult()
    best, done = float("inf"), None
    for _ in range(REPEATS):
        start = time.process_time()
        done = anonymize(frame, quasi_identifiers=trees, require=[KAnonymity(5)], **settings)
        best = min(best, time.process_time() - start)
    return best, done


def on_adult() -> list[dict[str, Any]]:
    comparable = adult()[2]
    seconds, done = timed(method="global")
    local_seconds, local = timed(method="local")
    return [
        line("global optimum, CPU", seconds, "s", ARX_CPU_S if comparable else None),
        line("global optimum, loss", done.loss, ""),
        line("local recoding, CPU", local_seconds, "s"),
        line("local recoding, loss", local.loss, "", ARX_LOCAL_LOSS if comparable else None),
    ]


def line(name: str, figure: float, unit: str, arx: float | None = None) -> dict[str, Any]:
    return {"name": name, "figure": figure, "unit": unit, "arx": arx, "ratio": arx and figure / arx}


def write_large(path: Path, rows: int) -> None:
    """Adult's rows drawn with replacement."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as parquet

    frame = adult()[0]
    drawn = np.random.default_rng(0).integers(0, len(frame), rows)
    parquet.write_table(pa.Table.from_pandas(frame.iloc[drawn], preserve_index=False), path)


def read_large(path: Path) -> None:
    """In a process of its own, so that its memory is its own: Parquet by DuckDB, anonymised."""
    import duckdb
    import narwhals as nw

    from comity.deidentify import KAnonymity, anonymize

    trees = adult()[1]
    nw.from_native(duckdb.sql("select 1 as warm")).collect("pyarrow")
    start = time.process_time()
    relation = duckdb.read_parquet(str(path))
    done = anonymize(relation, quasi_identifiers=trees, require=[KAnonymity(50)])
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu_s": seconds, "peak_rss_mb": peak, "loss": done.loss, "evaluated": done.evaluated}))


def on_large(rows: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.parquet"
        write_large(path, rows)
        command = [sys.executable, __file__, "--read-large", str(path)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return [
        line(f"{rows:,} rows of Parquet, CPU", found["cpu_s"], "s"),
        line(f"{rows:,} rows of Parquet, peak memory of the process", found["peak_rss_mb"], "MB"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure generalisation.")
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--read-large", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read_large:
        read_large(given.read_large)
        return
    found = on_adult() + on_large(given.rows)
    for entry in found:
        beside = "" if entry["arx"] is None else f"   ARX {entry['arx']:g}, ratio {entry['ratio']:.2f}"
        print(f"{entry['name']:<50} {entry['figure']:>10.4f} {entry['unit']:<3}{beside}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
