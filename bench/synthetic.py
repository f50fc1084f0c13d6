"""Synthetic tables: what models learn from them, what leaks, what they cost, beside mbi as the engine.

Run: python bench/synthetic.py [--splits 3] [--epsilons 0.1,0.3,1,3] [--methods aim,mst] [--providers 3]
     [--rows 1000000] [--mbi] [--coded] [--json FILE]

Adult as comity ships it (12 features), delta 1e-6, one record that comes or goes. 20% of the rows are held
out to test on; the others are dealt out to the providers, each of which makes a synthetic table by itself.
Models (logistic regression and boosted trees, with their defaults) are trained on the synthetic tables
together, and on all rows for comparison; the figure is the better one's AUC on the rows held out, mean over
splits with the standard deviation. CPU is one provider's, with one thread: measuring, fitting and drawing,
without start-up. The constants in `comity/synthesize` were set on split 0; these begin at 1.

`--rows N` times both methods on N rows drawn from Adult with replacement. `--mbi` has mbi fit the last model
as well, and says how far the two engines' marginals lie apart. `--coded` says what models learn from the real
rows once their numbers are cut into bins and rare levels joined, as far as epsilon lets them be told apart:
how much of what is lost is lost there, and how much by the marginals (epsilon 1, three splits: all rows .929,
so cut .914, synthetic .903).

Attacks are on one provider's table, and on a copy of its rows, with 95% intervals.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.metrics import roc_auc_score

from comity.architectures.definition import Task
from comity.architectures.models import boosted_scores, labels_of, logistic_scores
from comity.attack import SyntheticRelease, attack_synthetic
from comity.data import Table, concat_tables
from comity.data.shipped import adult_schema, load_adult
from comity.data.split import parts
from comity.synthesize import make_synthetic

DELTA = 1e-6
TASK = Task(adult_schema(), "income", ">50K", "id")
NAMES = [*TASK.features, TASK.target]


def split(seed: int, providers: int) -> tuple[list[Table], Table]:
    """Each provider's rows, and the rows held out."""
    table = load_adult()
    order = np.random.default_rng(seed).permutation(table.rows)
    held = table.take(np.sort(order[: table.rows // 5]))
    rest = table.take(np.sort(order[table.rows // 5 :]))
    return [rest.take(rows) for rows in parts(rest.rows, [1.0] * providers, seed=seed)], held


def best_auc(rows: Table, held: Table) -> float:
    truth = labels_of(held.arrow, TASK)
    return max(
        float(roc_auc_score(truth, scores(rows.arrow, held.arrow, TASK, 0)))
        for scores in (logistic_scores, boosted_scores)
    )


def made(table: Table, method: str, epsilon: float, **options: Any) -> tuple[Table, Mapping[str, Any], float]:
    """A synthetic table, its manifest, and CPU seconds."""
    started = time.process_time()
    done = make_synthetic(
        table, TASK.schema, NAMES, epsilon=epsilon, delta=DELTA, method=method, target=TASK.target, **options
    )
    return done.table, done.manifest, time.process_time() - started


def utility(methods: list[str], epsilons: list[float], splits: int, providers: int) -> list[dict[str, Any]]:
    dealt = [split(seed, providers) for seed in range(1, splits + 1)]
    pooled = [best_auc(concat_tables([t.select(NAMES) for t in tables]), held) for tables, held in dealt]
    print(f"a model on all rows: AUC {np.mean(pooled):.4f} +- {np.std(pooled):.4f}", flush=True)
    results: list[dict[str, Any]] = []
    for method in methods:
        for epsilon in epsilons:
            aucs: list[float] = []
            cpu: list[float] = []
            for tables, held in dealt:
                done = [made(table, method, epsilon) for table in tables]
                aucs.append(best_auc(concat_tables([table for table, _, _ in done]), held))
                cpu += [spent for _, _, spent in done]
            gap = float(np.mean(np.array(pooled) - aucs))
            results.append(
                {
                    "method": method, "epsilon": epsilon, "auc": float(np.mean(aucs)),
                    "sd": float(np.std(aucs)), "below_pooled": gap, "cpu_s": float(np.mean(cpu)),
                }
            )  # fmt: skip
            print(
                f"{method:4} epsilon {epsilon:<4g} AUC {np.mean(aucs):.4f} +- {np.std(aucs):.4f}, "
                f"{gap:.4f} below; {np.mean(cpu):.2f} CPU-s a provider",
                flush=True,
            )
    return results


def attacks(providers: int) -> list[dict[str, Any]]:
    tables, held = split(0, providers)
    real, held = tables[0].select(NAMES), held.select(NAMES)
    results: list[dict[str, Any]] = []
    for name, table in (("copy", real), ("aim, epsilon 1", made(real, "aim", 1.0)[0])):
        for attack, found in attack_synthetic(SyntheticRelease(table, real, held, 1.0, DELTA)).items():
            results.append({"table": name, "attack": attack, **found.to_dict()})
            print(
                f"{name:15} {attack:27} {found.advantage:+.3f} [{found.low:+.3f}, {found.high:+.3f}], "
                f"control {found.control:.3f}",
                flush=True,
            )
    return results


def coded(epsilons: list[float], splits: int, providers: int) -> list[dict[str, Any]]:
    """Real rows, each value replaced by one out of its code."""
    from comity.synthesize.aim import COLUMNS
    from comity.synthesize.cells import cells_of
    from comity.synthesize.looks import Looks
    from comity.synthesize.purse import Purse
    from comity.synthesize.rows import uniform
    from comity.synthesize.table import BINS

    def replaced(table: Table, epsilon: float) -> Table:
        cells = cells_of(TASK.schema, NAMES)
        rows = np.stack([cell.count(table) for cell in cells], axis=1)
        purse = Purse(epsilon, DELTA)
        looks = Looks(purse, cells, rows, len(NAMES) - 1)
        looks.bin_columns(COLUMNS * purse.whole, bins=BINS)
        count = table.rows
        columns = {
            code.name: code.values(code.coded(rows[:, at]).astype(np.int64), uniform(count), uniform(count))
            for at, code in enumerate(looks.codes)
        }
        return Table(pa.table(columns), "rows out of codes")

    dealt = [split(seed, providers) for seed in range(1, splits + 1)]
    results: list[dict[str, Any]] = []
    for epsilon in epsilons:
        aucs = [
            best_auc(concat_tables([replaced(t, epsilon) for t in tables]), held) for tables, held in dealt
        ]
        results.append({"epsilon": epsilon, "auc": float(np.mean(aucs)), "sd": float(np.std(aucs))})
        print(f"coded epsilon {epsilon:<4g} AUC {np.mean(aucs):.4f} +- {np.std(aucs):.4f}", flush=True)
    return results


def large(rows: int, methods: list[str]) -> list[dict[str, Any]]:
    table = load_adult().select(NAMES)
    drawn = table.take(np.sort(np.random.default_rng(1).integers(0, table.rows, rows)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results: list[dict[str, Any]] = []
    for method in methods:
        _, manifest, cpu = made(drawn, method, 1.0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        results.append({"method": method, "rows": rows, "cpu_s": cpu, "mb": peak, "mb_before": before})
        print(
            f"{method:4} {rows:,} rows: {cpu:.1f} CPU-s, {peak:,.0f} MB ({before:,.0f} MB before); "
            f"{len(manifest['measured'])} marginals, {manifest['model']['numbers']:,} numbers",
            flush=True,
        )
    return results


def engines() -> dict[str, Any]:
    """Both engines on the same counts."""
    from comity.synthesize.cells import cells_of
    from comity.synthesize.looks import Looks
    from comity.synthesize.mbi_engine import fit_by_mbi
    from comity.synthesize.model import fit
    from comity.synthesize.mst import mst
    from comity.synthesize.purse import Purse

    table = split(0, 3)[0][0]
    cells = cells_of(TASK.schema, NAMES)
    coded = np.stack([cell.count(table) for cell in cells], axis=1)
    looks = Looks(Purse(1.0, DELTA), cells, coded, len(NAMES) - 1)
    mst(looks, bins=16)
    spent: list[float] = []
    models = []
    for engine in (fit, fit_by_mbi):
        started = time.process_time()
        options = {"closeness": 0.0, "steps": 3000} if engine is fit else {}
        models.append(engine(looks.sizes, looks.measured, total=looks.total(), **options))
        spent.append(time.process_time() - started)
    apart = max(
        float(np.abs(one - two).sum()) / looks.total()
        for one, two in zip(models[0].beliefs, models[1].beliefs, strict=True)
    )
    print(
        f"own engine {spent[0]:.2f} CPU-s, mbi {spent[1]:.1f} (import included); marginals {apart:.4f} apart"
    )
    return {"own_cpu_s": spent[0], "mbi_cpu_s": spent[1], "largest_l1": apart}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--epsilons", default="0.1,0.3,1,3")
    parser.add_argument("--methods", default="aim,mst")
    parser.add_argument("--providers", type=int, default=3)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--mbi", action="store_true")
    parser.add_argument("--coded", action="store_true")
    parser.add_argument("--json")
    given = parser.parse_args()
    methods = given.methods.split(",")
    epsilons = [float(epsilon) for epsilon in given.epsilons.split(",")]
    found: dict[str, Any] = {"delta": DELTA, "providers": given.providers}
    if given.rows:
        found["large"] = large(given.rows, methods)
    else:
        found["utility"] = utility(methods, epsilons, given.splits, given.providers)
        found["attacks"] = attacks(given.providers)
    if given.coded:
        found["coded"] = coded(epsilons, given.splits, given.providers)
    if given.mbi:
        found["engines"] = engines()
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
