"""Federated training in one process, on Flower's strategies: as good as one model on all rows."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.metrics import roc_auc_score

from comity.errors import BadInput, BadTable, MissingExtra, UsageError
from comity.train.federated import engine, memory
from comity.train.federated.clients import TRAIN, Work
from comity.train.federated.fixed_point import weighted
from comity.train.federated.networks import LocalTraining, Network
from comity.train.federated.servers import WEIGHTS, run_server, secure_fedavg

Table = tuple[np.ndarray, np.ndarray]


def made(hidden: int) -> tuple[dict[str, Table], Table]:
    """Three providers of unequal size, one of which has mostly one kind of rows; the test rows."""
    features, labels = map(
        np.asarray,
        make_classification(
            2_400, 8, n_informative=5, n_clusters_per_class=2 if hidden else 1, random_state=4
        ),
    )
    test = (features[1_800:], labels[1_800:])
    order = np.concatenate([np.argsort(features[:900, 0]), np.arange(900, 1_800)])
    cuts = np.split(order, [400, 1_000])
    return {name: (features[rows], labels[rows]) for name, rows in zip("abc", cuts, strict=True)}, test


@pytest.mark.parametrize(("hidden", "proximal"), [(0, 0.0), (0, 0.01), (16, 0.0), (16, 0.01)])
def test_it_is_within_half_a_hundredth_of_one_model_on_all_rows(hidden: int, proximal: float) -> None:
    tables, (features, labels) = made(hidden)
    found = memory.train_together(tables, hidden=hidden, proximal=proximal, colluders=1)
    rows = np.vstack([table[0] for table in tables.values()]).astype(np.float32)
    marks = np.concatenate([table[1] for table in tables.values()]).astype(np.uint8)
    network = Network(8, hidden)
    weights = network.start(0)
    for number in range(12):
        training = LocalTraining.in_round(number, hidden=hidden, rows=len(marks), members=1)
        weights = training.run(network, weights, rows, marks)
    one = roc_auc_score(labels, network.scores(weights, features.astype(np.float32)))
    assert found.rows == 1_800
    assert roc_auc_score(labels, found.scores(features)) > one - 0.005


def test_a_member_that_drops_out_takes_its_later_updates_with_it() -> None:
    tables, (features, labels) = made(0)
    found = memory.train_together(
        tables, threshold=2, drops=lambda name, stage, number: name == "b" and (stage, number) == (TRAIN, 4)
    )
    assert found.rows == 1_200
    assert roc_auc_score(labels, found.scores(features)) > 0.85


def test_the_server_cuts_what_one_that_lies_moves_to_what_members_bear() -> None:
    network = Network(2)

    def work_of(far: float) -> Work:
        return lambda number, arrays, config: weighted(np.full(network.size, far), 10)

    together = memory.assemble(
        {"a": work_of(0.1), "b": work_of(0.1), "c": work_of(60.0)}, rounds=1, threshold=3
    )
    strategy = secure_fedavg(together.secure, lambda number: 2.0)
    result = run_server(together.grid, together.secure, strategy, {WEIGHTS: network.start(0)}, 1)
    assert result.arrays[WEIGHTS].numpy().tolist() == [2.0] * network.size


def test_an_update_that_is_no_number_ends_the_run() -> None:
    network = Network(2)

    def work_of(far: float) -> Work:
        return lambda number, arrays, config: weighted(np.full(network.size, far), 10)

    together = memory.assemble(
        {"a": work_of(0.1), "b": work_of(np.nan), "c": work_of(0.1)}, rounds=1, threshold=3
    )
    strategy = secure_fedavg(together.secure, lambda number: 2.0)
    with pytest.raises(BadInput) as caught:
        run_server(together.grid, together.secure, strategy, {WEIGHTS: network.start(0)}, 1)
    assert caught.value.public_message == "bad-input: the holder of the data has the details"


def test_features_that_are_missing_are_told_by_the_members_name() -> None:
    tables, _ = made(0)
    for odd in (np.nan, np.inf, 1e300):
        broken = tables["b"][0].copy().astype(float)
        broken[3, 2] = odd
        with pytest.raises(BadTable, match="features of 'b' have missing or infinite") as caught:
            memory.train_together({**tables, "b": (broken, tables["b"][1])}, rounds=2)
        assert caught.value.private


@pytest.mark.parametrize(
    "odd",
    [{"seed": -1}, {"hidden": 1.5}, {"rounds": "3"}, {"threshold": 0}, {"threshold": True},
     {"proximal": np.nan}, {"proximal": -1.0}, {"proximal": "much"}],
)  # fmt: skip
def test_settings_out_of_range_are_refused_in_words(odd: dict[str, Any]) -> None:
    tables, _ = made(0)
    with pytest.raises(UsageError, match=next(iter(odd))):
        memory.train_together(tables, **odd)


def test_members_have_names_of_text() -> None:
    tables, _ = made(0)
    with pytest.raises(UsageError, match="named by texts"):
        memory.train_together(dict(enumerate(tables.values())))  # type: ignore[arg-type]


def test_tables_that_do_not_fit_together_are_refused() -> None:
    tables, _ = made(0)
    with pytest.raises(UsageError, match="same columns"):
        memory.train_together({**tables, "c": (np.zeros((4, 3)), np.zeros(4))})
    with pytest.raises(UsageError, match="3 to 60 different members"):
        memory.train_together({name: tables[name] for name in "ab"})


def test_labels_in_words_are_named_or_refused_in_words() -> None:
    tables, (features, _) = made(0)
    words = {name: (rows, np.where(marks == 1, "yes", "no")) for name, (rows, marks) in tables.items()}
    with pytest.raises(
        BadInput, match=r"labels of 'a' are '0' or '1', and 'no' \(row .*pass classes="
    ) as caught:
        memory.train_together({**words, "a": (words["a"][0], np.array(["no"] * len(words["a"][0])))})
    assert caught.value.public_message == "bad-table: the holder of the data has the details"
    found = memory.train_together(words, classes=("no", "yes"), rounds=3)
    same = memory.train_together(tables, rounds=3)
    assert np.array_equal(found.scores(features), same.scores(features))
    true = {name: (rows.tolist(), marks == 1) for name, (rows, marks) in tables.items()}
    assert np.array_equal(memory.train_together(true, rounds=3).scores(features), same.scores(features))


def test_labels_of_neither_class_and_features_in_words_are_refused_in_words() -> None:
    tables, _ = made(0)
    rows, marks = tables["b"]
    for odd in (2, 0.5, -1, np.nan, 256):
        labels = marks.astype(float)
        labels[6] = odd
        with pytest.raises(BadInput, match=r"labels of 'b' .*\(row 7\) is neither"):
            memory.train_together({**tables, "b": (rows, labels)})
    with pytest.raises(BadInput, match=r"labels of 'a' are 'no' or 'yes', and '[01]' \(row 1\)"):
        memory.train_together(tables, classes=("no", "yes"))
    with pytest.raises(UsageError, match="classes are two values"):
        memory.train_together(tables, classes=("yes",))  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="features of 'b' are not numbers"):
        memory.train_together({**tables, "b": (np.full(rows.shape, "low"), marks)})


def test_flower_is_loaded_without_telemetry_update_check_or_installs() -> None:
    """In a fresh process, in which every connection is refused: nothing tries to make one."""
    text = (
        "import socket, threading\n"
        "def refused(*given, **named): raise SystemExit('a connection was tried')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refused\n"
        "from comity.train.federated.engine import flower\n"
        "flower('flwr.serverapp.strategy'), flower('flwr.clientapp')\n"
        "assert flower('flwr.supercore.telemetry').FLWR_TELEMETRY_ENABLED == '0'\n"
        "assert flower('flwr.common.constant').RUNTIME_DEPENDENCY_INSTALL is False\n"
        "assert threading.active_count() == 1\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "flwr" not in done.stderr.lower()


def test_the_switches_are_set_and_its_narration_is_off() -> None:
    engine.flower("flwr.app")
    assert {name: os.environ[name] for name in engine.SWITCHES} == dict(engine.SWITCHES)
    assert logging.getLogger("flwr").level == logging.ERROR


def test_without_flower_the_install_line_is_told() -> None:
    with pytest.raises(MissingExtra, match=r"comity\[federated\]"):
        engine.flower("flwr.no_such_module")
