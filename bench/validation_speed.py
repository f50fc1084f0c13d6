"""How long feedback on many predictions takes, monitor and all, beside a plain group-by in DuckDB.

Both read the same columns (predicted class, group, label) and tell the counts that accuracy, recall and
precision of every group come from; DuckDB tells them exactly, to whoever holds both sides. Feedback also
looks at ids, checks scores, watches the groupings, charges, draws noise, and keeps the answer. CPU seconds
of the process, best of several runs that take turns, each with a fresh validator. AUC, which sorts, stands
beside DuckDB's rank of every score; calibration, which finds its bins, beside the group-by.

Then memory: the most that one question takes at a time beyond what was given, in bytes per record, at two
sizes; and the monitor's cost by the number of groups of three groupings, and by the columns of a learner's
question.

    python bench/validation_speed.py [records]
"""

from __future__ import annotations

import resource
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np

from comity.validate import LocalValidator, Monitor

RUNS = 7
GROUPS = (10, 1000)
MOST_RATIO = 1.5
COUNTS = ["accuracy", "recall", "precision"]


@dataclass(frozen=True)
class Given:
    """What both ends hold."""

    ids: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    groups: dict[int, np.ndarray]

    @classmethod
    def drawn(cls, records: int) -> Given:
        rng = np.random.default_rng(1)
        labels = rng.integers(0, 2, records).astype(np.int8)
        scores = rng.random(records) * 0.5 + labels * 0.3
        return cls(
            np.arange(records), labels, scores, {count: rng.integers(0, count, records) for count in GROUPS}
        )

    def database(self) -> Any:
        database = duckdb.connect()
        columns = {"label": self.labels, "score": self.scores}
        columns |= {f"grp{count}": numbers for count, numbers in self.groups.items()}
        database.register("given", columns)
        database.execute("create table t as select * from given")
        database.unregister("given")
        return database

    def ask(self, metrics: list[str], groups: int | None = None) -> Callable[[], tuple[float, float]]:
        """A question to a validator of its own, timed."""
        more: dict[str, Any] = {} if groups is None else {"groups": self.groups[groups]}

        def run() -> tuple[float, float]:
            validator = LocalValidator(self.ids, self.labels)
            return timed(lambda: validator.feedback(self.ids, self.scores, metrics, **more))

        return run


def timed(run: Callable[[], Any]) -> tuple[float, float]:
    """(CPU, wall) seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.process_time() - cpu, time.perf_counter() - wall


def best(runs: dict[str, Callable[[], tuple[float, float]]], times: int) -> dict[str, tuple[float, float]]:
    """The least CPU and wall seconds of each; they take turns, so that all see the same machine."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(times):
        for name, run in runs.items():
            seen[name].append(run())
    return {
        name: (min(one for one, _ in times), min(two for _, two in times)) for name, times in seen.items()
    }


def by_group(given: Given, database: Any) -> None:
    for groups in (*GROUPS, None):
        keys = "score >= 0.5 as predicted" if groups is None else f"grp{groups}, score >= 0.5 as predicted"
        plain = f"select {keys}, count(*), sum(label) from t group by all"
        told = best(
            {
                "DuckDB": lambda plain=plain: timed(lambda: database.execute(plain).fetchall()),
                "accuracy, recall, precision": given.ask(COUNTS, groups),
                "accuracy": given.ask(["accuracy"], groups),
                **({} if groups else {"calibration in ten bins": given.ask(["calibration"])}),
            },
            RUNS,
        )
        written(f"{groups or 'no'} groups", told, MOST_RATIO)


def ranked(given: Given, database: Any) -> None:
    rank = "select sum(r * label) from (select label, rank() over (order by score) as r from t)"
    told = best(
        {
            "DuckDB, rank of every score": lambda: timed(lambda: database.execute(rank).fetchall()),
            "AUC": given.ask(["auc"]),
        },
        2,
    )
    written("ranks", told, MOST_RATIO)


def written(title: str, told: dict[str, tuple[float, float]], most: float) -> None:
    base = next(iter(told.values()))
    print(title)
    for name, (cpu, wall) in told.items():
        note = "" if cpu <= most * base[0] else f"   above {most:g} x"
        print(f"  {name:32} {cpu:7.3f} {wall:7.3f}  {cpu / base[0]:6.2f} {wall / base[1]:6.2f}{note}")


def memory(records: int) -> None:
    """Peak of what a question allocates, per record, at this size and at a tenth of it."""
    print("memory of one question beyond what was given, bytes per record, at its peak")
    asked = {"counts, 10 groups": (COUNTS, 10), "counts, 1000 groups": (COUNTS, 1000), "AUC": (["auc"], None)}
    sizes = (records // 10, records)
    found: dict[str, list[float]] = {name: [] for name in asked}
    for size in sizes:
        given = Given.drawn(size)
        for name, (metrics, groups) in asked.items():
            validator = LocalValidator(given.ids, given.labels, minimum=1)
            more: dict[str, Any] = {} if groups is None else {"groups": given.groups[groups]}
            tracemalloc.start()
            validator.feedback(given.ids, given.scores, metrics, **more)
            found[name].append(tracemalloc.get_traced_memory()[1] / size)
            tracemalloc.stop()
    print(f"  {'records':24} " + " ".join(f"{size:12,}" for size in sizes))
    for name, bytes_ in found.items():
        print(f"  {name:24} " + " ".join(f"{each:12.1f}" for each in bytes_))


def monitor() -> None:
    rng = np.random.default_rng(2)
    records = 1_000_000
    print(f"monitor, three groupings of g groups over {records:,} records, one after another: CPU s of each")
    for count in (100, 300, 1000):
        watching = Monitor(range(records), minimum=1)
        coded = [rng.integers(0, count, records) for _ in range(3)]
        spent = [admitted(watching, [new]) for new in coded]
        print(f"  g={count:5} " + " ".join(f"{one:7.3f}" for one in spent))
    print("monitor, one question of k columns of 12 bins over 40,000 records: CPU s")
    for count in (2, 4, 8, 16, 32):
        coded = [rng.integers(0, 12, 40_000) for _ in range(count)]
        watching = Monitor(range(40_000), minimum=10)
        print(f"  k={count:3} {admitted(watching, coded):7.3f}")


def admitted(watching: Monitor, groupings: list[np.ndarray]) -> float:
    return timed(lambda: watching.admit_all(groupings))[0]


def main(records: int) -> None:
    given = Given.drawn(records)
    database = given.database()
    print(f"{records:,} predictions: CPU s, wall s, CPU and wall ratio to DuckDB")
    by_group(given, database)
    ranked(given, database)
    database.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of everything here: {peak:,.0f} MB, {peak * 2**20 / records:,.0f} bytes per record")
    del given
    memory(records)
    monitor()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
