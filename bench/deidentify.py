"""Generalisation: CPU seconds, loss and memory, beside the figures recorded for ARX on the same task.

Run: python bench/deidentify.py [--rows 3000000] [--streamed 6000000] [--json FILE]

Large tables are Adult's rows drawn with replacement, k growing with the rows so that the search has the same
work to do as on Adult at k = 5. They are written to a temporary folder, which is removed at the end.

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
ADULT_ROWS = 30_162
MOST_DRAWN = 1_000_000


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
    """Adult's rows drawn with replacement, a million at a time."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as parquet

    table = pa.Table.from_pandas(adult()[0], preserve_index=False)
    random = np.random.default_rng(0)
    with parquet.ParquetWriter(path, table.schema) as writer:
        for start in range(0, rows, MOST_DRAWN):
            drawn = random.integers(0, table.num_rows, min(MOST_DRAWN, rows - start))
            writer.write_table(table.take(pa.array(drawn)))


def like_five(rows: int) -> int:
    """The k that is to this many rows what 5 is to Adult's."""
    return max(5, 5 * rows // ADULT_ROWS)


def read_large(path: Path, rows: int) -> None:
    """In a process of its own, so that its memory is its own: Parquet by DuckDB, anonymised."""
    import duckdb
    import narwhals as nw

    from comity.deidentify import KAnonymity, anonymize

    trees = adult()[1]
    nw.from_native(duckdb.sql("select 1 as warm")).collect("pyarrow")
    start = time.process_time()
    relation = duckdb.read_parquet(str(path))
    done = anonymize(relation, quasi_identifiers=trees, require=[KAnonymity(like_five(rows))])
    tell(time.process_time() - start, done.loss)


def stream_large(path: Path, rows: int) -> None:
    """In a process of its own: from file to file, never in memory."""
    from comity.deidentify import KAnonymity
    from comity.deidentify.stream import anonymize_file

    trees = adult()[1]
    start = time.process_time()
    done = anonymize_file(
        path,
        path.with_name("released.parquet"),
        quasi_identifiers=trees,
        require=[KAnonymity(like_five(rows))],
    )
    tell(time.process_time() - start, done.loss)


def tell(seconds: float, loss: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu_s": seconds, "peak_rss_mb": peak, "loss": loss}))


def on_large(rows: int, way: str) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.parquet"
        write_large(path, rows)
        command = [sys.executable, __file__, f"--{way}-large", str(path), "--rows", str(rows)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    what = {"read": "Parquet in memory", "stream": "Parquet to Parquet, streamed"}[way]
    return [
        line(f"{rows:,} rows of {what}, CPU", found["cpu_s"], "s"),
        line(f"{rows:,} rows of {what}, peak memory", found["peak_rss_mb"], "MB"),
        line(f"{rows:,} rows of {what}, loss", found["loss"], ""),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure generalisation.")
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--streamed", type=int, default=6_000_000)
    parser.add_argument("--read-large", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--stream-large", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read_large:
        read_large(given.read_large, given.rows)
        return
    if given.stream_large:
        stream_large(given.stream_large, given.rows)
        return
    found = on_adult() + on_large(given.rows, "read") + on_large(given.streamed, "stream")
    for entry in found:
        beside = "" if entry["arx"] is None else f"   ARX {entry['arx']:g}, ratio {entry['ratio']:.2f}"
        print(f"{entry['name']:<62} {entry['figure']:>10.4f} {entry['unit']:<3}{beside}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
