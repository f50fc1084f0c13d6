"""How long feedback on many predictions takes, monitor and all, beside a plain group-by in DuckDB.

Both read the same columns (predicted class, group, label) and tell the counts that accuracy, recall and
precision of every group come from; DuckDB tells them exactly, to whoever holds both sides. Feedback also
looks at ids, checks scores, watches the groupings, charges, draws noise, and keeps the answer. CPU seconds of
the process, best of several runs, each with a fresh validator. AUC, which sorts, and calibration, which finds
its bins, stand apart. Then: how the monitor's cost grows with the columns of a learner's question.

    python bench/validation_speed.py [records]
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np

from comity.validate import LocalValidator, Monitor

RUNS = 5
GROUPS = 10


def best(run: Callable[[Any], Any], prepare: Callable[[], Any]) -> tuple[float, float]:
    """(CPU, wall) seconds of the fastest run."""
    times = []
    for _ in range(RUNS):
        made = prepare()
        wall, cpu = time.perf_counter(), time.process_time()
        run(made)
        times.append((time.process_time() - cpu, time.perf_counter() - wall))
    return min(one for one, _ in times), min(two for _, two in times)


def main(records: int) -> None:
    rng = np.random.default_rng(1)
    ids = np.arange(records)
    labels = rng.integers(0, 2, records).astype(np.int8)
    scores = rng.random(records) * 0.5 + labels * 0.3
    groups = rng.integers(0, GROUPS, records)
    database = duckdb.connect()
    columns = {"label": labels, "score": scores, "grp": groups}
    database.register("given", columns)
    database.execute("create table t as select * from given")
    database.unregister("given")
    query = "select grp, score >= 0.5 as predicted, count(*), sum(label) from t group by all"
    told = [
        (
            "DuckDB, group by group and predicted class",
            best(lambda _: database.execute(query).fetchall(), list),
        )
    ]
    whole = "select score >= 0.5 as predicted, count(*), sum(label) from t group by all"
    told.append(
        ("DuckDB, group by predicted class", best(lambda _: database.execute(whole).fetchall(), list))
    )

    def ask(metrics: list[str], **more: Any) -> tuple[float, float]:
        return best(
            lambda validator: validator.feedback(ids, scores, metrics, **more),
            lambda: LocalValidator(ids, labels),
        )

    told.append(
        (
            "feedback by group: accuracy, recall, precision",
            ask(["accuracy", "recall", "precision"], groups=groups),
        )
    )
    told.append(("feedback by group: accuracy", ask(["accuracy"], groups=groups)))
    told.append(("feedback: accuracy, recall, precision", ask(["accuracy", "recall", "precision"])))
    told.append(("feedback: calibration in ten bins", ask(["calibration"])))
    told.append(("feedback: AUC (sorts)", ask(["auc"])))
    reference = {"by group": told[0][1], "other": told[1][1]}
    print(f"{records:,} predictions, {GROUPS} groups: CPU s, wall s, CPU and wall ratio to DuckDB")
    for name, (cpu, wall) in told:
        base = reference["by group" if "group:" in name or name == told[0][0] else "other"]
        print(f"  {name:52} {cpu:7.3f} {wall:7.3f}  {cpu / base[0]:6.2f} {wall / base[1]:6.2f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak memory of everything here: {peak:,.0f} MB, {peak * 2**20 / records:,.0f} bytes per record")
    print("monitor, one question of k columns of 12 bins over 40,000 records: s, rank")
    for count in (2, 4, 8, 16, 32):
        coded = [rng.integers(0, 12, 40_000) for _ in range(count)]
        monitor = Monitor(range(40_000), minimum=10)
        start = time.perf_counter()
        monitor.admit_all(coded)
        print(f"  k={count:3} {time.perf_counter() - start:7.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
