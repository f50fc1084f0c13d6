"""Federated training beside one model on all rows, on tables that the project does not ship.

    .venv/bin/python bench/federated.py

Three tables, each cut into three providers of unequal size whose rows differ (sorted by a feature for a
part): scikit-learn's breast cancer, a made table that is nearly linear, and one that is not. For each: the
AUC of the model that providers train together under masks (FedAvg; FedProx), of the same model trained on
all rows in one place, of stock Flower FedAvg (no masks, the same ClientApps' training), of scikit-learn's
logistic regression on all rows, and CPU seconds. Means over seeds. No differential privacy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from comity.train.federated.engine import flower
from comity.train.federated.memory import train_together
from comity.train.federated.networks import LocalTraining, Network
from comity.train.federated.records import record
from comity.train.federated.servers import WEIGHTS, grid_of

SEEDS = range(3)
ROUNDS = 12
HIDDEN = {"breast cancer": (0, 32), "nearly linear": (0, 32), "not linear": (0, 32)}
Table = tuple[np.ndarray, np.ndarray]


def tables(seed: int) -> dict[str, Table]:
    cancer: Any = load_breast_cancer(return_X_y=True)
    linear: Any = make_classification(
        6_000, 12, n_informative=6, n_clusters_per_class=1, class_sep=0.7, flip_y=0.05, random_state=seed
    )
    bent: Any = make_classification(
        9_000, 12, n_informative=6, n_clusters_per_class=3, class_sep=0.8, flip_y=0.03, random_state=seed
    )
    return {"breast cancer": cancer, "nearly linear": linear, "not linear": bent}


def split(table: Table, seed: int) -> tuple[dict[str, Table], Table]:
    """Three providers with 50%, 30% and 20% of the rows, half of them sorted by the first feature; the
    test."""
    draw = np.random.default_rng(seed)
    features, labels = table
    order = draw.permutation(len(labels))
    cut = len(order) // 4
    test, train = order[:cut], order[cut:]
    features = np.asarray(StandardScaler().fit(features[train]).transform(features))
    half = len(train) // 2
    sorted_half = train[:half][np.argsort(features[train[:half], 0])]
    ends = [0.5, 0.8, 1.0]
    parts: dict[str, Table] = {}
    for at, name in enumerate(("north", "east", "south")):
        low, high = ([0.0, *ends][at], ends[at])
        chosen = np.concatenate(
            [rows[int(low * len(rows)) : int(high * len(rows))] for rows in (sorted_half, train[half:])]
        )
        parts[name] = (features[chosen], labels[chosen])
    return parts, (features[test], labels[test])


def on_all_rows(parts: Mapping[str, Table], hidden: int, seed: int) -> tuple[Network, np.ndarray]:
    """The same model, trained by the same steps on all rows at once."""
    features = np.vstack([part[0] for part in parts.values()]).astype(np.float32)
    labels = np.concatenate([part[1] for part in parts.values()]).astype(np.uint8)
    network = Network(features.shape[1], hidden)
    weights = network.start(seed)
    for number in range(ROUNDS):
        training = LocalTraining.in_round(number, hidden=hidden, rows=len(labels), members=1, seed=seed)
        weights = training.run(network, weights, features, labels)
    return network, weights


def stock(parts: Mapping[str, Table], hidden: int, seed: int) -> tuple[Network, np.ndarray]:
    """Flower's own FedAvg in process: updates and row counts travel in the clear."""
    app = flower("flwr.app")
    network = Network(next(iter(parts.values()))[0].shape[1], hidden)

    def answer(asked: list[tuple[str, Any]]) -> list[Any]:
        replies = []
        for name, message in asked:
            features, labels = parts[name][0].astype(np.float32), parts[name][1].astype(np.uint8)
            number = int(message.content["config"]["server-round"]) - 1
            training = LocalTraining.in_round(
                number, hidden=hidden, rows=len(labels), members=len(parts), seed=seed
            )
            start = message.content["arrays"][WEIGHTS].numpy()
            content = app.RecordDict(
                {
                    "arrays": record({WEIGHTS: training.run(network, start, features, labels)})["arrays"],
                    "metrics": app.MetricRecord({"num-examples": len(labels)}),
                }
            )
            replies.append(app.Message(content, reply_to=message))
        return replies

    grid = grid_of({name: at for at, name in enumerate(parts, start=1)}, answer)
    strategy = flower("flwr.serverapp.strategy").FedAvg(fraction_evaluate=0.0, min_train_nodes=3)
    result = strategy.start(grid, record({WEIGHTS: network.start(seed)})["arrays"], num_rounds=ROUNDS)
    return network, result.arrays[WEIGHTS].numpy()


def measured(act: Callable[[], np.ndarray], labels: np.ndarray) -> tuple[float, float]:
    begun = time.process_time()
    scores = act()
    return float(roc_auc_score(labels, scores)), time.process_time() - begun


def scored(found: tuple[Network, np.ndarray], features: np.ndarray) -> np.ndarray:
    return found[0].scores(found[1], features.astype(np.float32))


def ways(parts: dict[str, Table], test: np.ndarray, hidden: int, seed: int) -> list[Callable[[], np.ndarray]]:
    """FedAvg and FedProx under masks, one model on all rows, stock FedAvg, scikit-learn on all rows."""

    def federated(proximal: float) -> np.ndarray:
        found = train_together(parts, hidden=hidden, rounds=ROUNDS, colluders=1, proximal=proximal, seed=seed)
        return found.scores(test)

    def sklearn() -> np.ndarray:
        features, labels = (np.concatenate(column) for column in zip(*parts.values(), strict=True))
        return LogisticRegression(max_iter=1000).fit(features, labels).predict_proba(test)[:, 1]

    return [
        lambda: federated(0.0),
        lambda: federated(0.01),
        lambda: scored(on_all_rows(parts, hidden, seed), test),
        lambda: scored(stock(parts, hidden, seed), test),
        sklearn,
    ]


def main() -> None:
    heads = ("fedavg", "fedprox", "all rows", "stock", "sklearn", "worst gap", "CPU s", "stock")
    print(f"{'table':14} {'model':9}" + "".join(f"{head:>10}" for head in heads))
    for name, choices in HIDDEN.items():
        for hidden in choices:
            rows: list[list[tuple[float, float]]] = []
            for seed in SEEDS:
                parts, (features, labels) = split(tables(seed)[name], seed)
                rows.append([measured(act, labels) for act in ways(parts, features, hidden, seed)])
            aucs, cpu = np.array(rows).mean(axis=0).T
            worst = max(row[2][0] - row[0][0] for row in rows)
            model = f"{hidden} hidden" if hidden else "logistic"
            figures = [*aucs, worst, cpu[0], cpu[3]]
            print(f"{name:14} {model:9}" + "".join(f"{figure:10.4f}" for figure in figures))


if __name__ == "__main__":
    main()
