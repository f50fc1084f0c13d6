"""The learner: how much of the gap it closes, beside other ways at equal epsilon, and how often it harms.

Run: python bench/validation_learning.py [--seeds 5] [--epsilons 0.05,0.1,1] [--sets adult,flights,bike]
     [--rivals] [--guard 4] [--large 10000000] [--packages FOLDER] [--json FILE]

Delta is 1e-6, one label changed. 80% of the rows to learn from, 200 of them seed rows; `alone` is L2 logistic
regression on the seed rows and the learner's start, `pooled` the better on test of that model and boosted
trees on all rows. gap_closed = (auc - alone) / (pooled - alone), its mean over seeds with Student's 95%
interval. One provider. `comity` reads the seed rows once more (`fit(..., seeds=...)`), `comity, start only`
does not. The learner's constants were set on splits 201 to 205 of Adult, `flights`, `bike` and `digits`;
seeds here start at 300. Nothing was set on `default` or `made`.

`--rivals` adds other ways to learn from labels at the same epsilon (_learning_rivals.py says which, and how
they are favoured). `--guard N` runs N seeds of 40 small problems, each at three epsilons
(_learning_guard.py), and counts the lessons that end worse than their start. `--large N` times one lesson on
N records of 14 numbers.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from _learning_data import SETS, fetch, split
from _learning_guard import failures
from _learning_rivals import RIVALS, Fitting

FIRST_SEED = 300
SEED_ROWS = 200
DELTA = 1e-6
SMALLEST_GAP = 0.01
"""CONTRACT.md: no share is stated of a gap below that."""


def interval(values: list[float]) -> dict[str, float | None]:
    """Mean and half the width of Student's 95% interval."""
    from scipy.stats import t

    count = len(values)
    if not np.isfinite(values).all():
        return {"mean": None, "plus_minus": None}
    half = t.ppf(0.975, count - 1) * np.std(values, ddof=1) / np.sqrt(count) if count > 1 else None
    return {
        "mean": round(float(np.mean(values)), 3),
        "plus_minus": None if half is None else round(float(half), 3),
    }


def learned(case: dict[str, Any], epsilon: float, seeds: Any = None) -> float:
    """Test AUC after one lesson, with the seed rows read once more or not."""
    from comity.validate import FeedbackClassifier, LocalValidator

    ids = np.arange(len(case["y"]))
    validator = LocalValidator(ids, case["y"], epsilon=epsilon, delta=DELTA)
    model = FeedbackClassifier(validator, start=case["start"]).fit(case["X"], ids, seeds=seeds)
    return case["auc"](model.decision_function(case["tests"]))


def fitting(case: dict[str, Any]) -> Fitting:
    """The public bins, and the opening's scores as everyone's offset: all begin where comity does."""
    from comity.validate.bins import Columns, features_table, public_encoder
    from comity.validate.design import tempered
    from comity.validate.learner import start_scores
    from comity.validate.opening import opening

    table, (rows, labels) = features_table(case["X"]), case["seeds"]
    encoder = public_encoder(table, bins=32)
    seen = Columns.of(encoder, table)
    begun = opening(seen, Columns.of(encoder, features_table(rows)), labels, 10)
    scores, parts = [], []
    for features in (case["X"], case["tests"]):
        parts.append(Columns.of(encoder, features_table(features)))
        scores.append(tempered(begun.scores(parts[-1], start_scores(case["start"], features, len(features)))))
    return Fitting(parts[0], scores[0], parts[1], scores[1])


def gaps(names: list[str], seeds: int, epsilons: list[float], rivals: bool, folder: Path) -> list[Any]:
    """Shares of the gap closed, by data set, epsilon and way."""
    rows: list[Any] = []
    for name in names:
        frame, labels = SETS[name](folder)
        found: dict[tuple[float, str], list[float]] = {}
        ends: list[tuple[float, float]] = []
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            case = split(frame, labels, seed, SEED_ROWS)
            gap = case["pooled"] - case["alone"]
            ends.append((case["alone"], case["pooled"]))
            fit = fitting(case) if rivals else None
            for epsilon in epsilons:
                aucs = {"comity": learned(case, epsilon, case["seeds"])}
                aucs["comity, start only"] = learned(case, epsilon)
                for rival, scores in RIVALS.items() if fit is not None else ():
                    tried = scores(fit, case["y"], epsilon, seed)
                    aucs[rival] = max(case["auc"](each) for each in tried)
                for way, auc in aucs.items():
                    share = (auc - case["alone"]) / gap
                    found.setdefault((epsilon, way), []).append(share if gap >= SMALLEST_GAP else np.nan)
        alone, pooled = np.mean(ends, axis=0)
        facts = {"set": name, "rows": len(labels), "alone": round(alone, 4), "pooled": round(pooled, 4)}
        for (epsilon, way), shares in found.items():
            rows.append({**facts, "epsilon": epsilon, "way": way, **interval(shares)})
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


def large(records: int, columns: int = 14) -> dict[str, Any]:
    """Seconds and memory of one lesson on many records."""
    from sklearn.linear_model import LogisticRegression

    from comity.validate import FeedbackClassifier, LocalValidator

    rng = np.random.default_rng(3)
    X = rng.normal(size=(records, columns))
    y = (rng.random(records) < 1 / (1 + np.exp(np.abs(X[:, 1]) - X[:, 0]))).astype(np.int8)
    start, ids = LogisticRegression().fit(X[:200], y[:200]), np.arange(records)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    validator = LocalValidator(ids, y)
    cpu, wall = time.process_time(), time.perf_counter()
    FeedbackClassifier(validator, start=start).fit(X, ids)
    return {
        "records": records,
        "cpu_s": round(time.process_time() - cpu, 1),
        "wall_s": round(time.perf_counter() - wall, 1),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "peak_rss_before_mb": before,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epsilons", default="0.05,0.1,1")
    parser.add_argument("--sets", default="adult,flights,bike,digits", help=f"of {', '.join(SETS)}")
    parser.add_argument("--rivals", action="store_true")
    parser.add_argument("--guard", type=int, default=0, help="seeds of the small problems")
    parser.add_argument("--large", type=int, default=0, help="records of one large lesson")
    parser.add_argument("--packages", type=Path, help="where the packages that carry data are, or will be")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    names = [name for name in options.sets.split(",") if name]
    epsilons = [float(each) for each in options.epsilons.split(",")]
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.packages or Path(temporary)
        fetch(names, folder)
        if options.large:
            found["large"] = large(options.large)
        if options.guard:
            found["guard"] = failures(options.guard, FIRST_SEED)
        found["gap_closed"] = gaps(names, options.seeds, epsilons, options.rivals, folder)
    text = json.dumps(found, indent=2)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
