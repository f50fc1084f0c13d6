"""Blind validation of 10 million predictions: per answer, beside a plain group-by in DuckDB; set-up apart.

Run: python bench/blind.py [--rows 10000000] [--providers 2] [--groups 10,1000] [--json FILE]

CPU seconds, the least of several runs that take turns, all in one process on the same machine. The group-by
is count and sum by a bin of the prediction, out of a DuckDB table. An answer is everything that happens once
the uploads are in: the ML party bins its predictions and writes the question, the mediator reads it, admits
it and counts, the providers add their noise, the ML party opens the sums. The monitor's look at the groups is
in it and shown apart too. The ML party keeps its predictions in the order of the tokens; in the frame's order
they have to be reordered for each question, which is shown as well. Linked feedback is the same question in
the clear, with one noise.

The exact sums are checked: with both noises they are off by less than eight standard deviations.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from comity.crypto.exchange import SharedKey
from comity.validate.blind import (
    PadKeys,
    PadSum,
    Pooled,
    TokenOrder,
    Upload,
    masked_answer,
    opened,
    second_noise,
    total_deviation,
)
from comity.validate.blind_admission import Admission
from comity.validate.blind_price import portion_calibration
from comity.validate.blind_query import CodedCounts, from_message, permuted, to_message
from comity.validate.mechanism import Price, answer
from comity.validate.queries import Query

PRICE = Price(1.0, 1e-6)
REPEATS = 7
MOST_RATIO = 3.0
PIECE = 1 << 15


class Clock:
    """CPU seconds by what they went into."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def time(self, name: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        done = work()
        self.spent[name] = self.spent.get(name, 0.0) + time.process_time() - start
        return done


def coded(scores: np.ndarray, groups: int) -> CodedCounts:
    """Predictions in equal-width bins, piece by piece."""
    codes = np.empty(len(scores), dtype=np.uint8 if groups <= 256 else np.uint16)
    for start in range(0, len(scores), PIECE):
        codes[start : start + PIECE] = scores[start : start + PIECE] * groups
    return CodedCounts(codes, groups)


class Setting:
    """Predictions, labels, uploads: everything that is set up once."""

    def __init__(self, rows: int, providers: int) -> None:
        draw = np.random.default_rng(0)
        self.rows, self.providers = rows, providers
        self.scores = draw.random(rows)
        self.labels = (draw.random(rows) < self.scores).astype(np.int8)
        owner = draw.integers(0, providers, rows)
        self.clock = Clock()
        timed = self.clock.time
        self.order = timed("order of tokens", lambda: TokenOrder.over(rows, os.urandom(32)))
        keys = [
            PadKeys(SharedKey(os.urandom(32)), f"p{at}", "bench", os.urandom(16).hex())
            for at in range(providers)
        ]
        self.pooled = Pooled.over(self._uploads(keys, owner))
        self.pads = timed("sum of pads", lambda: PadSum.over(keys, "label", self.order))
        self.turned = timed("predictions reordered once", lambda: self.scores[self.order.places])

    def _uploads(self, keys: list[PadKeys], owner: np.ndarray) -> Any:
        for at, key in enumerate(keys):
            held = (owner == at).astype(np.int8)
            upload = self.clock.time(
                "uploads", lambda held=held, key=key: Upload.of(held, self.labels, self.order, key)
            )
            yield key.provider, upload


def blind_answer(setting: Setting, groups: int, admission: Admission, *, ordered: bool) -> Clock:
    """One answer, by party."""
    clock, second = Clock(), os.urandom(32)

    def ask() -> tuple[Query, Any]:
        query = coded(setting.turned if ordered else setting.scores, groups)
        turned = query if ordered else permuted(query, setting.order.places)
        return turned, to_message(turned)

    turned, message = clock.time("ML party: question", ask)
    read = clock.time("mediator: reading", lambda: from_message(*message))
    clock.time("mediator: monitor", lambda: admission.admit(read))
    calibration = portion_calibration(read, PRICE)
    summands = clock.time(
        "mediator: sums, noise, pads",
        lambda: masked_answer(setting.pooled, read, "label", calibration, second, setting.providers),
    )
    noisy = clock.time(
        "providers: noise",
        lambda: [second_noise(words, calibration, setting.providers) for words in summands],
    )
    found = clock.time("ML party: opening", lambda: opened(noisy, turned, calibration, second, setting.pads))
    exact = coded(setting.scores, groups).sums(setting.labels)
    worst = float(np.abs(found - exact).max()) / total_deviation(calibration, setting.providers)
    if worst > 8:
        raise SystemExit(f"the opened sums are {worst:.1f} standard deviations off")
    return clock


def least(works: dict[str, Callable[[], Clock]]) -> dict[str, dict[str, float]]:
    """Of each the run that took the least in all; they take turns, so that all see the same machine."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in works}
    for _ in range(REPEATS):
        for name, work in works.items():
            runs[name].append(work().spent)
    return {name: min(seen, key=lambda spent: sum(spent.values())) for name, seen in runs.items()}


def measured(setting: Setting, groups: int) -> dict[str, Any]:
    base = duckdb.connect()
    base.execute("SET threads = 2")
    given = pa.table({"p": setting.scores, "y": setting.labels})
    base.register("given", given)
    base.execute("CREATE TABLE t AS SELECT * FROM given")
    by = f"SELECT CAST(floor(p * {groups}) AS INTEGER) AS g, count(*), sum(y) FROM t GROUP BY g"

    def plain() -> Clock:
        clock = Clock()
        clock.time("group-by", lambda: base.execute(by).fetchall())
        return clock

    def linked() -> Clock:
        clock = Clock()
        clock.time("linked", lambda: answer(coded(setting.scores, groups), setting.labels, PRICE))
        return clock

    def blind(*, ordered: bool) -> Clock:
        admission = Admission(setting.rows, most=1, minimum=10, clause="bench")
        return blind_answer(setting, groups, admission, ordered=ordered)

    told = least(
        {
            "plain": plain,
            "linked": linked,
            "blind": lambda: blind(ordered=True),
            "blind_reordered": lambda: blind(ordered=False),
        }
    )
    figures: dict[str, Any] = {
        "group_by": told["plain"]["group-by"],
        "linked": told["linked"]["linked"],
        "blind": told["blind"],
        "blind_reordered": told["blind_reordered"],
    }
    for name in ("blind", "blind_reordered"):
        figures[f"{name}_total"] = sum(figures[name].values())
        figures[f"{name}_ratio"] = figures[f"{name}_total"] / figures["group_by"]
    figures["linked_ratio"] = figures["linked"] / figures["group_by"]
    base.close()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--providers", type=int, default=2)
    parser.add_argument("--groups", default="10,1000")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    setting = Setting(given.rows, given.providers)
    print(f"{given.rows:,} predictions, {given.providers} providers; CPU seconds\n\nset-up, once per upload")
    for name, spent in setting.clock.spent.items():
        print(f"  {name:30s} {spent:8.3f}")
    results: dict[str, Any] = {"rows": given.rows, "setup": setting.clock.spent}
    for groups in map(int, given.groups.split(",")):
        figures = results[str(groups)] = measured(setting, groups)
        print(f"\n{groups} groups")
        print(f"  {'plain group-by, DuckDB':30s} {figures['group_by']:8.3f}")
        print(
            f"  {'linked, without its monitor':30s} {figures['linked']:8.3f} {figures['linked_ratio']:7.2f} x"
        )
        for name, spent in figures["blind"].items():
            print(f"  {name:30s} {spent:8.3f}")
        for name, words in (("blind", "blind, all of it"), ("blind_reordered", "blind, frame's order")):
            ratio = figures[f"{name}_ratio"]
            note = "" if ratio <= MOST_RATIO else f"   above {MOST_RATIO:g} x"
            print(f"  {words:30s} {figures[f'{name}_total']:8.3f} {ratio:7.2f} x{note}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    results["bytes_per_record"] = memory / given.rows
    size = f"{memory / 2**30:.2f} GiB, {memory / given.rows:.0f} bytes a record"
    print(f"\npeak memory {size}, all parties together")
    if given.json:
        given.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
