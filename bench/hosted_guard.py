"""How often a hosted lesson ends worse than its start, and what it keeps.

Run: python bench/hosted_guard.py [--seeds 4] [--first 700] [--epsilons 0.1,1,3] [--json FILE]

The small problems of `_learning_guard.py` (which did not choose the guard's constants at these seeds), and
three starts: optimal but for their scale, or fitted on the 100 seed rows; 100, 1,000 and 4,000 rows at
one provider; delta 1e-6, unit record. The sandbox and the wire are left out: the start is scored here, and
the noise is drawn as the provider draws it. A lesson is worse if its AUC on 6,000 fresh records, weighted by
their true chances, is lower. Intervals: Clopper and Pearson, 95%.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import _learning_guard
from _learning_guard import KINDS, problem, rank_gain

STARTS = {"bold start": 3.0, "timid start": 0.3, "fitted start": 1.0}
PROBLEMS = (*(kind for kind in KINDS if kind != "line read"), *STARTS)
SIZES = (100, 1_000, 4_000)
SEED_ROWS = 100
TESTS = 6_000
FAR = 4.0


def interval(hits: int, of: int) -> list[float]:
    """Clopper and Pearson's 95% interval of a rate."""
    from scipy.stats import beta

    low = 0.0 if hits == 0 else beta.ppf(0.025, hits, of - hits + 1)
    high = 1.0 if hits == of else beta.ppf(0.975, hits + 1, of - hits)
    return [round(float(low), 4), round(float(high), 4)]


def case(kind: str, rows: int, seed: int) -> dict[str, Any]:
    """A problem as hosted validation sees it: bins from public bounds and seed rows, the start's log odds."""
    import pyarrow as pa
    from sklearn.linear_model import LogisticRegression

    from comity.data.table import Table
    from comity.schema import parse_schema
    from comity.validate.hosted_learner import public_columns

    _learning_guard.TESTS = TESTS
    made = problem("optimal start" if kind in STARTS else kind, rows + SEED_ROWS, seed)
    X, labels, start = np.clip(made["X"], -FAR, FAR), made["labels"], made["start"]
    names = [f"f{at}" for at in range(X.shape[1])]
    columns = {
        name: {"role": "quasi_identifier", "type": "number", "min": -FAR, "max": FAR} for name in names
    }
    columns["y"] = {"role": "target", "type": "category", "values": ["0", "1"]}
    schema = parse_schema({"columns": columns}, where="bench")
    first, rest = slice(0, SEED_ROWS), slice(SEED_ROWS, SEED_ROWS + rows)
    if kind == "fitted start" and 0 < labels[first].sum() < SEED_ROWS:
        start = LogisticRegression().fit(X[first], labels[first])

    def odds(part: np.ndarray) -> np.ndarray:
        if start is None:
            return np.zeros(len(part))
        return np.clip(STARTS.get(kind, 1.0) * start.decision_function(part), -9, 9)

    def table(part: np.ndarray) -> Any:
        return Table(pa.table({name: part[:, at] for at, name in enumerate(names)}))

    few = 16 if X.shape[1] < 20 else 6
    bins = public_columns(schema, table(X[first]), tuple(names), bins=few)
    tests = X[SEED_ROWS + rows :]
    return {
        "bins": bins,
        "train": (bins.codes(table(X[rest])), odds(X[rest]), labels[rest]),
        "seeds": (bins.codes(table(X[first])), odds(X[first]), labels[first]),
        "tests": (bins.codes(table(tests)), odds(tests), made["odds"][SEED_ROWS + rows :]),
    }


def lesson(made: dict[str, Any], epsilon: float, delta: float = 9e-7) -> tuple[Any, bool]:
    """The learner after its four gradients, and whether the guard keeps it."""
    from comity.validate.hosted import HostedPrice, HostedUnit
    from comity.validate.hosted_guard import Guard
    from comity.validate.hosted_learner import FEEDBACK, QUERIES, ROUNDS, SHARES, BinCounts, HostedLearner

    bins, (codes, start, labels), seeds = made["bins"], made["train"], made["seeds"]
    sums = bins.width * (QUERIES - 2) + 1 + FEEDBACK.dimensions
    price = HostedPrice(epsilon, delta, HostedUnit(), sums)
    learner, counts = HostedLearner(bins, seeds[0], noise=price.multiplier), BinCounts(bins)
    learner.take_counts(counts.read(price.answer(counts.sums(codes), counts.sizes, SHARES[0]).values))
    for share in SHARES[1 : 1 + ROUNDS]:
        question = learner.question()
        told = price.answer(question.sums(bins, codes, start, labels), question.sizes, share)
        learner.step(told.values, told.deviation)
    guard = Guard(bins, *seeds)
    gain = guard.question(learner.scale, learner.weights)
    told = price.answer(gain.sums(bins, codes, start, labels), gain.sizes, SHARES[-2])
    fitted, trial = learner.fitted(guard.positives), learner.trial(guard.positives)
    return learner, guard.better(gain, told.values, told.deviation, learner.records, fitted, trial)


def lessons(seeds: int, first: int, epsilons: list[float]) -> list[dict[str, Any]]:
    from comity.validate.hosted_learner import correction

    rows = []
    for kind, size, seed in itertools.product(PROBLEMS, SIZES, range(first, first + seeds)):
        if kind == "many columns" and size != 1_000:
            continue
        made = case(kind, size, seed)
        codes, start, odds = made["tests"]
        for epsilon in epsilons:
            learner, kept = lesson(made, epsilon)
            after = correction(learner.scale, learner.weights, made["bins"], codes, start)
            gain = rank_gain(after, start, odds)
            rows.append({"kind": kind, "rows": size, "epsilon": epsilon, "gain": gain, "kept": kept})
    return rows


def rates(rows: list[dict[str, Any]]) -> dict[str, Any]:
    gain, kept = np.array([row["gain"] for row in rows]), np.array([row["kept"] for row in rows])
    worse = int((kept & (gain < -1e-6)).sum())
    better = gain > 0.002
    return {
        "lessons": len(rows),
        "worse": round(worse / len(rows), 4),
        "interval": interval(worse, len(rows)),
        "would_be_worse": round(float((gain < -1e-6).mean()), 3),
        "kept_of_better": round(float(kept[better].mean()), 3) if better.any() else math.nan,
        "mean_gain": round(float((gain * kept).mean()), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--first", type=int, default=700)
    parser.add_argument("--epsilons", default="0.1,1,3")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    epsilons = [float(word) for word in given.epsilons.split(",")]
    rows = lessons(given.seeds, given.first, epsilons)
    found = {"together": rates(rows)}
    found |= {f"epsilon {one:g}": rates([r for r in rows if r["epsilon"] == one]) for one in epsilons}
    found |= {f"{size} rows": rates([r for r in rows if r["rows"] == size]) for size in SIZES}
    found |= {kind: rates([r for r in rows if r["kind"] == kind]) for kind in PROBLEMS}
    for name, told in found.items():
        print(name, json.dumps(told), flush=True)
    if given.json:
        given.json.write_text(json.dumps({"rates": found, "lessons": rows}, default=bool), encoding="utf-8")


if __name__ == "__main__":
    main()
