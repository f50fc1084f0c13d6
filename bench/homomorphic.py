"""Scoring encrypted rows: bytes, CPU and error beside a bare TenSEAL script, and how soon the model is told.

Run: python bench/homomorphic.py [--rows 8192] [--json FILE]

One logistic model, fitted on 200 rows of Adult, over its public columns; CPU seconds of one process for
both ends, the least of several runs that take turns. The peer is what one writes with TenSEAL alone: one
`ckks_vector` per column, times the weight, added up. It floods nothing, so whoever opens its sums can read
the weights out of their errors. Both ends' opened sums are held against plaintext. `comity, honest key` is
the same with 8,192 scores in a ciphertext instead of 199, which a crafted key would turn against the weights.

Then model extraction: the share of fresh rows for which a provider's copy of the model is within 0.01 in
probability, by how many rows it had scored and by the error that is put on every score. `found` rows are its
own, `made` ones are made up to tell the most; the share by guessing the middle score is taken off. `auc` is
what the scores are still worth to the provider.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from comity.architectures.models import fit_logistic
from comity.attack import extract_model, extraction_attack, telling_rows
from comity.data import load_adult
from comity.data.labels import binary_labels
from comity.data.rawmatrix import RawEncoder
from comity.data.shipped import ADULT_FOLDER
from comity.schema import read_schema
from comity.train.homomorphic import (
    LinearModel,
    Precision,
    ProviderKey,
    PublicColumns,
    encrypt_rows,
    open_scores,
    score_encrypted,
)

REPEATS = 3
SEED_ROWS = 200
PEERS = {
    "TenSEAL 4096 [40,20,40]": (4096, [40, 20, 40], 20),
    "TenSEAL 8192 [60,40,60]": (8192, [60, 40, 60], 40),
}
ERRORS = (2.0**-17, 0.25, 1.0, 4.0)
NUMBERS = (16, 32, 64, 128, 512, 4096)


def setting() -> tuple[np.ndarray, np.ndarray, LinearModel]:
    """Adult's rows as public columns, their labels, and a model of 200 others."""
    schema, table = read_schema(ADULT_FOLDER / "schema.yaml"), load_adult()
    features = [name for name in schema.features if name in table.names and name != "income"]
    order = np.random.default_rng(0).permutation(table.rows)
    seed = table.take(np.sort(order[:SEED_ROWS]))
    encoder = RawEncoder.from_features(seed, schema, names=features)
    labels = binary_labels(seed, "income", ">50K").values
    model = fit_logistic(encoder.linear(seed), labels, 0)
    columns = PublicColumns.of(schema, features)
    constant = float(np.ravel(model.intercept_)[0])
    weights, intercept = columns.folded(encoder, np.ravel(np.asarray(model.coef_)), constant)
    rest = table.take(order[SEED_ROWS:])
    known = binary_labels(rest, "income", ">50K").values
    return columns.matrix(rest), known, LinearModel(tuple(weights.tolist()), intercept)


def ours(rows: np.ndarray, model: LinearModel, *, any_key: bool) -> dict[str, float]:
    start = time.process_time()
    key = ProviderKey()
    sent = encrypt_rows(key, rows)
    encrypted = time.process_time()
    answer = score_encrypted(model, sent, any_key=any_key)
    scored = time.process_time()
    opened = open_scores(key, answer)
    done = time.process_time()
    return {
        "encrypt_s": encrypted - start,
        "score_s": scored - encrypted,
        "open_s": done - scored,
        "bytes_up": sent.ciphertext_bytes + len(sent.public),
        "bytes_down": answer.ciphertext_bytes,
        **off(opened.linear, model.plain(rows)),
    }


def peer(rows: np.ndarray, model: LinearModel, degree: int, bits: list[int], scale: int) -> dict[str, float]:
    import tenseal as ts

    start = time.process_time()
    context = ts.context(ts.SCHEME_TYPE.CKKS, degree, coeff_mod_bit_sizes=bits)
    context.global_scale = 2.0**scale
    public = context.copy()
    public.make_context_public()
    told = public.serialize(save_galois_keys=False, save_relin_keys=False)
    slots = degree // 2
    blocks = [
        [ts.ckks_vector(context, column).serialize() for column in rows[at : at + slots].T]
        for at in range(0, len(rows), slots)
    ]
    encrypted = time.process_time()
    other = ts.context_from(told)
    sums = []
    for at, block in enumerate(blocks):
        size = min(slots, len(rows) - at * slots)
        total: Any = None
        for data, weight in zip(block, model.weights, strict=True):
            product = ts.ckks_vector_from(other, data) * weight
            total = product if total is None else total + product
        sums.append((total + [model.intercept] * size).serialize())
    scored = time.process_time()
    opened = np.concatenate([np.array(ts.ckks_vector_from(context, data).decrypt()) for data in sums])
    done = time.process_time()
    return {
        "encrypt_s": encrypted - start,
        "score_s": scored - encrypted,
        "open_s": done - scored,
        "bytes_up": len(told) + sum(len(data) for block in blocks for data in block),
        "bytes_down": sum(map(len, sums)),
        **off(opened, model.plain(rows)),
    }


def off(opened: np.ndarray, plain: np.ndarray) -> dict[str, float]:
    error = np.abs(opened - plain)
    return {"error_max": float(error.max()), "error_rms": float(np.sqrt(np.mean(error**2)))}


def total(figures: dict[str, float]) -> float:
    return figures["encrypt_s"] + figures["score_s"] + figures["open_s"]


def least(works: dict[str, Callable[[], dict[str, float]]]) -> dict[str, dict[str, float]]:
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in works}
    for _ in range(REPEATS):
        for name, work in works.items():
            runs[name].append(work())
    return {name: min(seen, key=total) for name, seen in runs.items()}


def extraction(rows: np.ndarray, labels: np.ndarray, model: LinearModel) -> dict[str, dict[str, list[float]]]:
    """Advantage by error and by number of rows, for rows that were found and for rows that were made up; and
    what the error leaves of the scores' own AUC."""
    from sklearn.metrics import roc_auc_score

    draw = np.random.default_rng(1)
    plain, half = model.plain(rows), len(rows) // 2
    table: dict[str, dict[str, list[float]]] = {}
    for error in ERRORS:
        noisy = plain + draw.uniform(-error, error, len(rows))
        found = [
            extraction_attack(rows, noisy, used=n, seed=0, truth=plain).advantage
            for n in NUMBERS
            if n < len(rows) - 50
        ]
        made = []
        for number in (n for n in NUMBERS if n <= rows.shape[1] + 1):
            asked = telling_rows(rows[:half], number)
            copy = extract_model(asked, model.plain(asked) + draw.uniform(-error, error, number))
            hit = np.abs(logistic(copy.scores(rows[half:])) - logistic(plain[half:])) <= 0.01
            blind = np.abs(logistic(np.median(plain)) - logistic(plain[half:])) <= 0.01
            made.append(float(hit.mean() - blind.mean()))
        auc = [float(roc_auc_score(labels, noisy))]
        table[f"{error:.2g}"] = {"found": found, "made": made, "auc": auc}
    return table


def logistic(scores: Any) -> Any:
    return 0.5 * (1.0 + np.tanh(0.5 * scores))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows, labels, model = setting()
    scored = rows[: given.rows]
    works: dict[str, Callable[[], dict[str, float]]] = {
        "comity": lambda: ours(scored, model, any_key=True),
        "comity, honest key": lambda: ours(scored, model, any_key=False),
    }
    for name, (degree, bits, scale) in PEERS.items():
        works[name] = lambda d=degree, b=bits, s=scale: peer(scored, model, d, b, s)
    told = least(works)
    print(f"{len(scored):,} rows of {scored.shape[1]} columns; CPU seconds of both ends")
    print(f"  {'':26s} encrypt   score    open     MB up   MB down  largest error")
    for name, figures in told.items():
        times = "".join(f"{figures[part]:8.3f}" for part in ("encrypt_s", "score_s", "open_s"))
        print(
            f"  {name:26s}{times} {figures['bytes_up'] / 1e6:9.2f} {figures['bytes_down'] / 1e6:9.3f}"
            f"  {figures['error_max']:.2e}"
        )
    own = told["comity"]
    for name in PEERS:
        other = told[name]
        cpu, up = total(own) / total(other), own["bytes_up"] / other["bytes_up"]
        error = own["error_max"] / other["error_max"]
        print(f"  comity / {name}: CPU {cpu:.2f} x, bytes up {up:.2f} x, error {error:.2g} x")
    table = extraction(rows[:12_000], labels[:12_000], model)
    print("\nextraction: advantage over guessing the middle score, by rows that were scored")
    print("  " + f"{'error':>8s} {'rows':6s}" + "".join(f"{number:>7,}" for number in NUMBERS))
    for error, kinds in table.items():
        for kind, advantages in kinds.items():
            print("  " + f"{error:>8s} {kind:6s}" + "".join(f"{value:7.2f}" for value in advantages))
    bound = Precision().bits_per_score
    print(f"  (a score tells at most {bound} bits of the model at the smallest error)")
    if given.json:
        given.json.write_text(json.dumps({"scoring": told, "extraction": table}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
