"""The whole of federated training in one process, for tests and experiments: same code, no Channel, no gate.

Nothing here protects anybody: all tables are in one place, and nothing is charged. Between parties it is the
architecture `federated` that runs the same members and server.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.crypto.keys import SigningKey
from comity.data.declared import declared_codes, one_dimension
from comity.data.faults import shown
from comity.errors import BadTable, ComityError, UsageError
from comity.train.federated.clients import ROUND_STAGES, SETUP, TRAIN, Work, client_app
from comity.train.federated.collector import Collector
from comity.train.federated.fixed_point import require_numbers, weighted
from comity.train.federated.group import Group
from comity.train.federated.member import Member
from comity.train.federated.networks import LocalTraining, Network, furthest_in
from comity.train.federated.servers import (
    WEIGHTS,
    SecureSum,
    grid_of,
    run_server,
    secure_fedavg,
    secure_fedprox,
)

Drops = Callable[[str, str, int], bool]
"""(member, stage, round from 0 on) -> whether the member is gone before it answers; setup is round -1."""


def nobody(_member: str, _stage: str, _number: int) -> bool:
    """All stay."""
    return False


@dataclass(frozen=True)
class Assembly:
    """A group in one process.

    Attributes:
        group, secure, grid: as between parties.
        seen: every reply that reached the server: (member, stage, content).
    """

    group: Group
    secure: SecureSum
    grid: Any
    seen: list[tuple[str, str, Any]]


def assemble(
    works: Mapping[str, Work],
    *,
    rounds: int,
    threshold: int,
    colluders: int = 0,
    drops: Drops = nobody,
    purpose: str = "an experiment in one process",
) -> Assembly:
    """Members with fresh keys, a server, and a Grid between them.

    Args:
        works: what each member works out in a round.
        drops: who drops out where; a member that is gone stays gone.
    """
    keys = {name: SigningKey.generate() for name in works}
    group = Group(
        purpose,
        tuple(works),
        {name: key.verify_key for name, key in keys.items()},
        threshold,
        colluders,
        rounds,
    )
    apps = {name: client_app(Member(group, name, keys[name]), works[name]) for name in works}
    gone: set[str] = set()
    at = {"round": -1}
    seen: list[tuple[str, str, Any]] = []

    def answer(asked: list[tuple[str, Any]]) -> list[Any]:
        stage = asked[0][1].metadata.message_type
        if stage not in (*SETUP, *ROUND_STAGES):
            raise ComityError(f"the server asked about '{stage}': this is a slip")
        at["round"] += stage == TRAIN
        replies: list[Any] = []
        for name, message in asked:
            if name in gone or drops(name, stage, at["round"]):
                gone.add(name)
                replies.append(None)
                continue
            replies.append(apps[name](message, None))
            seen.append((name, stage, replies[-1].content))
        return replies

    nodes = {name: number for number, name in enumerate(works, start=1)}
    return Assembly(group, SecureSum(Collector(group), nodes), grid_of(nodes, answer), seen)


@dataclass(frozen=True)
class Trained:
    """A model that members trained together.

    Attributes:
        network: its form.
        weights: (network.size,).
        rows: of all members that stayed to the last round.
    """

    network: Network
    weights: NDArray[np.float64]
    rows: int

    def scores(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """(rows,) chances of the positive value."""
        return self.network.scores(self.weights, np.asarray(features, dtype=np.float32))


def train_together(
    tables: Mapping[str, tuple[NDArray[Any], NDArray[Any]]],
    *,
    classes: tuple[Any, Any] | None = None,
    hidden: int = 0,
    rounds: int = 12,
    threshold: int | None = None,
    colluders: int = 0,
    proximal: float = 0.0,
    seed: int = 0,
    drops: Drops = nobody,
) -> Trained:
    """FedAvg, or FedProx where `proximal` is above 0, under masks and without differential privacy.

    Args:
        tables: by member: (rows, width) features, scaled by public facts, and (rows,) labels 0 or 1.
        classes: (negative, positive) where labels are others than 0 and 1, or false and true.
        hidden: units of the hidden layer; 0 is logistic regression.
        threshold: how many have to stay; all of them by default.

    Raises:
        UsageError: for fewer than 3 members, tables that do not fit together, and settings out of range.
        BadTable: naming the member, for features that are no numbers and labels of neither class.
    """
    needed = len(tables) if threshold is None else threshold
    _require_settings(tables, proximal, hidden=hidden, rounds=rounds, threshold=needed, seed=seed)
    read = {
        name: (_numbers(features, name), _marks(labels, classes, name))
        for name, (features, labels) in tables.items()
    }
    widths = {features.shape[1] if features.ndim == 2 else -1 for features, _ in read.values()}
    lengths = [(len(features), len(marks)) for features, marks in read.values()]
    if len(widths) != 1 or -1 in widths or any(rows != marks for rows, marks in lengths):
        raise UsageError("every member's features have the same columns, and a label for each row")
    network = Network(widths.pop(), hidden)

    def work_of(narrow: NDArray[np.float32], marks: NDArray[np.uint8]) -> Work:
        def work(
            number: int, arrays: Mapping[str, NDArray[Any]], config: Mapping[str, Any]
        ) -> NDArray[np.int64]:
            start = require_numbers(arrays[WEIGHTS], network.size, what="the weights to train from")
            training = LocalTraining.in_round(
                number,
                hidden=hidden,
                rows=len(marks),
                members=len(tables),
                proximal=float(config.get("proximal-mu", 0.0)),
                seed=seed,
            )
            return weighted(training.run(network, start, narrow, marks) - start, len(marks))

        return work

    together = assemble(
        {name: work_of(*table) for name, table in read.items()},
        rounds=rounds,
        threshold=needed,
        colluders=colluders,
        drops=drops,
    )
    secure = together.secure
    bound = partial(furthest_in, hidden=hidden)
    strategy = secure_fedprox(secure, proximal, bound) if proximal else secure_fedavg(secure, bound)
    result = run_server(together.grid, secure, strategy, {WEIGHTS: network.start(seed)}, rounds)
    return Trained(network, result.arrays[WEIGHTS].numpy(), strategy.rows)


def _require_settings(tables: Mapping[str, Any], proximal: float, **whole: int) -> None:
    for name, value in whole.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise UsageError(f"{name} is a whole number from 0 on, not {value!r}")
    if not isinstance(proximal, int | float) or not 0 <= proximal < math.inf:
        raise UsageError(f"proximal is a finite number from 0 on, not {proximal!r}")
    if not all(isinstance(name, str) for name in tables):
        raise UsageError("members are named by texts")


def _numbers(features: Any, member: str) -> NDArray[np.float32]:
    """Features as finite numbers.

    Raises:
        BadTable: naming the member.
    """
    try:
        with np.errstate(over="ignore"):  # what is too large for a short number is refused below
            numbers = np.asarray(features, dtype=np.float32)
    except (TypeError, ValueError):
        raise BadTable(
            f"the features of '{member}' are not numbers throughout: make a number of every column, of words "
            "a column of 0 and 1 for each",
            private=False,
        ) from None
    if not np.isfinite(numbers).all():
        raise BadTable(
            f"the features of '{member}' have missing or infinite numbers: fill them in, or leave these rows "
            "out"
        )
    return numbers


def _marks(labels: Any, classes: tuple[Any, Any] | None, member: str) -> NDArray[np.uint8]:
    """(rows,) 1 for the positive class, 0 for the negative one.

    Raises:
        BadTable: naming the member, for a label of neither class; private.
    """
    what = f"the labels of '{member}'"
    if classes is not None and (not isinstance(classes, tuple | list) or len(classes) != 2):
        raise UsageError(f"classes are two values, (negative, positive), not {classes!r}")
    named = classes or (0, 1)
    codes = declared_codes(labels, named, what)
    if classes is None:
        codes = np.maximum(codes, declared_codes(labels, (False, True), what))
    neither = np.flatnonzero(codes < 0)
    if len(neither):
        value = one_dimension(labels, what)[neither[0]]
        remedy = (
            "pass classes=(negative, positive), or make 1 of the positive class and 0 of the other"
            if classes is None
            else "correct it, leave the row out, or name its class in classes=(negative, positive)"
        )
        raise BadTable(
            f"{what} are {shown(named[0])} or {shown(named[1])}, and {shown(value)} (row {neither[0] + 1}) "
            f"is neither: {remedy}"
        )
    return codes.astype(np.uint8)
