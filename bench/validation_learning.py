"""The learner: how much of the gap it closes, beside other ways at equal epsilon, and how often it harms.

Run: python bench/validation_learning.py [--seeds 5] [--epsilons 0.05,0.1,1] [--sets adult,flights,bike]
     [--rivals] [--tune] [--guard 4] [--large 10000000] [--packages FOLDER] [--json FILE]

Delta is 1e-6, one label changed. 80% of the rows to learn from, 200 of them seed rows; `alone` is L2 logistic
regression on the seed rows and the learner's start, `pooled` the better on test of that model and boosted
trees on all rows. gap_closed = (auc - alone) / (pooled - alone), its mean over seeds with Student's 95%
interval. One provider. `comity` reads the seed rows once more (`fit(..., seeds=...)`), `comity, start only`
does not. The learner's constants were set on splits 201 to 205 of Adult, `flights`, `bike` and `digits`;
seeds here start at 300. Nothing was set on `made`,
and on 201 to 205 of `default` only that six seed rows of a class are too few to be read once more.

`--rivals` adds other ways to learn from labels at the same epsilon (_learning_rivals.py says which; all of
them begin at comity's opening, so what is compared is what the labels add). Each is told twice: in the one
setting per epsilon that was `chosen beforehand` on the tuning splits, as the learner's constants were, which
is the comparison at equal terms; and `best in hindsight`, the best on test of all its settings' noisy fits,
which nobody can have and which bounds it from above. `comity_ahead_by` is the mean over splits of comity's
share less the rival's on the same split, with Student's 95% interval; `comity_auc_ahead_by` the same of AUC,
for sets with gaps too small for shares. `--tune` finds the settings again:
what it prints as `beforehand` belongs into `_learning_rivals.BEFOREHAND`.

`--guard N` runs N seeds of 50 small problems, each at three epsilons (_learning_guard.py), and counts the
lessons that end worse than their start. `--large N` times one lesson on N records of 14 numbers.

Measured on splits 300 to 304, share of the gap closed, and comity's lead over each rival with its setting
chosen beforehand (RR: randomised response, LP: LP-2ST, PB: PriorBoost):

    set       epsilon  comity         ahead of RR    ahead of LP    ahead of PB
    adult     1        .907 +- .020   .336 +- .088   .550 +- .033   .648 +- .057
    adult     0.1      .607 +- .063   .404 +- .080   .447 +- .107   .437 +- .106
    adult     0.05     .495 +- .107
    flights   1        .729 +- .055   .142 +- .040   .604 +- .134   .562 +- .062
    flights   0.1      .394 +- .112   .327 +- .076   .336 +- .101   .317 +- .120
    made      1        .934 +- .080   .290 +- .136   .486 +- .050   .773 +- .119
    made      0.1      .563 +- .109   .537 +- .153   .550 +- .142   .542 +- .150
    bike      1        .785 +- .032   .027 +- .043   .266 +- .041   .334 +- .051
    bike      0.1      .548 +- .107   .145 +- .079   .144 +- .077   .143 +- .076
    digits    1        .829 +- .111   .085 +- .041   .034 +- .063   .036 +- .032
    digits    0.1      .829 +- .111   .009 +- .025   .000 +- .001   .000 +- .026
    default   1        AUC .9454      .098 +- .043   .011 +- .015   .014 +- .019   (AUC; so is the lead)
    default   0.1      AUC .9408      .007 +- .019   .006 +- .016   .003 +- .011

Not ahead beyond doubt: of RR (with boosted trees, which read how columns act together) on `bike` at 1, of
LP on `digits` at 1, of all on `digits` at 0.1, where nobody learns from labels and all rests on the
opening, and on `default` of all but RR at 1. In hindsight rivals are ahead on `digits`, by .007 to .027 at
1 and, but for RR, by .008 to .010 at 0.1. The rule that a rare class has no opening came after a first run
of `default` on these splits had shown the need, so its figures are not fresh. Of 150 lessons of `--guard 1`
one ended with a lower AUC (0.7%, by 0.0008).
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
from _learning_rivals import BEFOREHAND, RIVALS, Fitting

FIRST_SEED = 300
FIRST_TUNING_SEED = 201
SEED_ROWS = 200
DELTA = 1e-6
BEFORE, HINDSIGHT = "chosen beforehand", "best in hindsight"
SMALLEST_GAP = 0.01
"""CONTRACT.md: no share is stated of a gap below that."""


def interval(values: list[float], places: int = 3) -> dict[str, float | None]:
    """Mean and half the width of Student's 95% interval."""
    from scipy.stats import t

    count = len(values)
    if not np.isfinite(values).all():
        return {"mean": None, "plus_minus": None}
    half = t.ppf(0.975, count - 1) * np.std(values, ddof=1) / np.sqrt(count) if count > 1 else None
    return {
        "mean": round(float(np.mean(values)), places),
        "plus_minus": None if half is None else round(float(half), places),
    }


def learned(case: dict[str, Any], epsilon: float, seeds: Any = None) -> float:
    """Test AUC after one lesson, with the seed rows read once more or not."""
    from comity.validate import FeedbackClassifier, LocalValidator

    ids = np.arange(len(case["y"]))
    validator = LocalValidator(ids, case["y"], epsilon=epsilon, delta=DELTA)
    model = FeedbackClassifier(validator, start=case["start"]).fit(case["X"], ids, seeds=seeds)
    return case["auc"](model.decision_function(case["tests"]))


def fitting(case: dict[str, Any], seed: int) -> Fitting:
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
    return Fitting(parts[0], scores[0], parts[1], scores[1], seed)


def settings(case: dict[str, Any], fit: Fitting, epsilon: float, seed: int) -> dict[str, dict[str, float]]:
    """Test AUC of every rival's every setting."""
    found = {}
    for at, (rival, scores) in enumerate(RIVALS.items()):
        rng = np.random.default_rng([seed, at])
        found[rival] = {name: case["auc"](told) for name, told in scores(fit, case["y"], epsilon, rng)}
    return found


def rivals_aucs(found: dict[str, dict[str, float]], epsilon: float) -> dict[str, float]:
    """Test AUC of each rival, in its setting chosen beforehand (if there is one) and in its best one."""
    aucs = {}
    for rival, tried in found.items():
        setting = BEFOREHAND[rival].get(epsilon)
        if setting is not None:
            aucs[f"{rival}; {BEFORE}"] = tried[setting]
        aucs[f"{rival}; {HINDSIGHT}"] = max(tried.values())
    return aucs


def tuned(names: list[str], seeds: int, epsilons: list[float], folder: Path) -> dict[str, Any]:
    """The mean gap closed by each setting on the tuning splits, and the best of each rival and epsilon."""
    shares: dict[tuple[str, float, str], list[float]] = {}
    for name in names:
        frame, labels = SETS[name](folder)
        for seed in range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + seeds):
            case = split(frame, labels, seed, SEED_ROWS)
            fit, gap = fitting(case, seed), case["pooled"] - case["alone"]
            for epsilon in epsilons:
                for rival, tried in settings(case, fit, epsilon, seed).items():
                    for setting, auc in tried.items():
                        shares.setdefault((rival, epsilon, setting), []).append((auc - case["alone"]) / gap)
            print(f"tuned on {name}, split {seed}", file=sys.stderr, flush=True)
    means = {key: round(float(np.mean(each)), 3) for key, each in shares.items()}
    best: dict[str, dict[float, str]] = {rival: {} for rival in RIVALS}
    for rival in RIVALS:
        for epsilon in epsilons:
            of_rival = {key[2]: mean for key, mean in means.items() if key[:2] == (rival, epsilon)}
            best[rival][epsilon] = max(of_rival, key=lambda name: of_rival[name])
    return {"beforehand": best, "means": [[*key, mean] for key, mean in means.items()]}


def gaps(names: list[str], seeds: int, epsilons: list[float], rivals: bool, folder: Path) -> list[Any]:
    """Shares of the gap closed, by data set, epsilon and way; of rivals also comity's lead per split."""
    rows: list[Any] = []
    for name in names:
        frame, labels = SETS[name](folder)
        found: dict[tuple[float, str], list[float]] = {}
        ends: list[tuple[float, float]] = []
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            case = split(frame, labels, seed, SEED_ROWS)
            ends.append((case["alone"], case["pooled"]))
            fit = fitting(case, seed) if rivals else None
            for epsilon in epsilons:
                aucs = {"comity": learned(case, epsilon, case["seeds"])}
                aucs["comity, start only"] = learned(case, epsilon)
                if fit is not None:
                    aucs |= rivals_aucs(settings(case, fit, epsilon, seed), epsilon)
                for way, auc in aucs.items():
                    found.setdefault((epsilon, way), []).append(auc)
        rows += summed_up({"set": name, "rows": len(labels)}, ends, found)
    return rows


def summed_up(
    facts: dict[str, Any], ends: list[tuple[float, float]], found: dict[tuple[float, str], list[float]]
) -> list[dict[str, Any]]:
    """What was found on one data set.

    Args:
        facts: of the set.
        ends: for each split, AUC at both ends of the gap.
        found: by epsilon and way, the AUC on each split.
    """
    alone, pooled = np.array(ends).T
    gap = np.where(pooled - alone >= SMALLEST_GAP, pooled - alone, np.nan)
    facts = {**facts, "alone": round(alone.mean(), 4), "pooled": round(pooled.mean(), 4)}
    rows = []
    for (epsilon, way), aucs in found.items():
        rows.append({**facts, "epsilon": epsilon, "way": way, "auc": round(float(np.mean(aucs)), 4)})
        rows[-1] |= interval(((np.array(aucs) - alone) / gap).tolist())
        if ";" in way:
            lead = np.array(found[epsilon, "comity"]) - np.array(aucs)
            rows[-1]["comity_ahead_by"] = interval((lead / gap).tolist())
            rows[-1]["comity_auc_ahead_by"] = interval(lead.tolist(), 4)
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
    parser.add_argument("--tune", action="store_true", help="find the rivals' settings on the tuning splits")
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
        if options.tune:
            found["tuned"] = tuned(names, options.seeds, epsilons, folder)
        else:
            found["gap_closed"] = gaps(names, options.seeds, epsilons, options.rivals, folder)
    text = json.dumps(found, indent=2)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
