"""The server as a Flower `ServerApp`: strategies whose rounds are sums under masks.

`secure_fedavg` and `secure_fedprox` are Flower's FedAvg and FedProx with their aggregation replaced: what
comes is masked, so nothing of a single member is averaged, and the weights (rows) are inside the sum.
`secure_steps` runs any other conversation of sums, such as DP gradient descent. All of them talk through
Flower's abstract `Grid`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, VerificationFailed
from comity.train.federated.clients import (
    ACTIVE,
    KEYS,
    MASKED,
    NAMES,
    REVEAL,
    ROUND,
    SHARES,
    SURVIVORS,
    TAKE,
    TRAIN,
    held_from,
    reveal_from,
)
from comity.train.federated.collector import Collector
from comity.train.federated.engine import flower
from comity.train.federated.fixed_point import MOST_WEIGHT, weighted_mean
from comity.train.federated.records import (
    arrays_of,
    config_of,
    packed,
    query_digest,
    record,
    unpacked,
)
from comity.train.federated.shared_noise import SharedNoise

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

WEIGHTS = "weights"
_Made = TypeVar("_Made")


class SecureSum:
    """Opens one sum per round over a Grid. Members that do not answer have dropped out.

    Args:
        collector: of the session.
        nodes: the Grid's number of each member.

    What the server has seen stays here, per round, for whoever attacks it: `asked` (arrays), `words` (one
    member's masked vector) and `sums` (what was opened).
    """

    def __init__(self, collector: Collector, nodes: Mapping[str, int]) -> None:
        self.collector = collector
        self._nodes = dict(nodes)
        self._names = {number: name for name, number in nodes.items()}
        self._message = flower("flwr.app").Message
        self.sums: list[Integers] = []
        self.asked: list[dict[str, NDArray[Any]]] = []
        self.words: list[Integers] = []

    @property
    def alive(self) -> list[int]:
        """Nodes that have answered so far."""
        return [self._nodes[name] for name in self.collector.alive]

    def name_of(self, message: Any) -> str:
        return self._names[message.metadata.dst_node_id]

    def prepare(self, grid: Any) -> None:
        """Exchange keys and sealed shares for all rounds."""
        came = self._ask(grid, KEYS, {name: {} for name in self.collector.alive})
        roster = self.collector.take_keys({name: _bytes(config, "keys") for name, config in came.items()})
        came = self._ask(grid, SHARES, {name: packed(roster) for name in roster})
        sorted_shares = self.collector.take_shares(_read(came, unpacked))
        came = self._ask(grid, TAKE, {name: packed(sealed) for name, sealed in sorted_shares.items()})
        self.collector.take_held(_read(came, held_from))

    def begin(self, number: int, messages: Iterable[Any]) -> list[Any]:
        """Start a round with these messages, which ask everybody the same; those to who is left."""
        listed = [message for message in messages if self.name_of(message) in self.collector.alive]
        content = listed[0].content
        asked = arrays_of(content)
        self.asked.append(asked)
        self.collector.begin(number, query_digest(asked, config_of(content)))
        return listed

    def terms(self, number: int) -> dict[str, Any]:
        """What a round's question says besides what is asked."""
        return {ROUND: number, ACTIVE: list(self.collector.alive)}

    def opened(self, grid: Any, number: int, replies: Iterable[Any]) -> Integers:
        """(d,) the sum over those that stayed, from their masked replies.

        Raises:
            PartyFailed: if fewer than the threshold stayed; who sent no masked vector has not.
            VerificationFailed: if signatures or shares do not fit.
        """
        masked = {
            self._names[reply.metadata.src_node_id]: words
            for reply in replies
            if not reply.has_error() and (words := _masked(reply)) is not None
        }
        survivors = self.collector.take_masked(masked)
        self.words.append(masked[survivors[0]].view(np.int64))
        asked = {ROUND: number, NAMES: list(survivors)}
        came = self._ask(grid, SURVIVORS, dict.fromkeys(survivors, asked))
        signatures = self.collector.take_signatures(
            {name: _bytes(config, "signature") for name, config in came.items()}
        )
        asked = {ROUND: number, **packed(signatures)}
        came = self._ask(grid, REVEAL, dict.fromkeys(signatures, asked))
        total = self.collector.total(_read(came, reveal_from))
        self.sums.append(total.view(np.int64))
        return self.sums[-1]

    def _ask(
        self, grid: Any, kind: str, configs: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """What members answer, by name; those that do not answer are missing."""
        messages = [
            self._message(record(config=config), self._nodes[name], kind) for name, config in configs.items()
        ]
        return {
            self._names[reply.metadata.src_node_id]: config_of(reply.content)
            for reply in grid.send_and_receive(messages)
            if not reply.has_error()
        }


def _bytes(config: Mapping[str, Any], name: str) -> bytes:
    value = config.get(name)
    return value if isinstance(value, bytes) else b""


def _masked(reply: Any) -> NDArray[np.uint64] | None:
    """A reply's masked vector; None if it holds anything else."""
    arrays = arrays_of(reply.content)
    words = arrays.get(MASKED)
    sound = set(arrays) == {MASKED} and words is not None and words.dtype == np.uint64 and words.ndim == 1
    return words if sound else None


def _read(
    came: Mapping[str, Mapping[str, Any]], reader: Callable[[Mapping[str, Any]], _Made]
) -> dict[str, _Made]:
    """What the reader makes of members' answers; those whose answer is none are missing."""
    found: dict[str, _Made] = {}
    for name, config in came.items():
        with suppress(BadInput, VerificationFailed):
            found[name] = reader(config)
    return found


class Conversation(Protocol):
    """What a server asks in each round, and what it makes of the sum."""

    def question(self, number: int) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]: ...

    def answer(self, number: int, sums: Integers, survivors: int) -> None: ...


def run_server(
    grid: Any, secure: SecureSum, strategy: Any, first: Mapping[str, NDArray[Any]], rounds: int
) -> Any:
    """Run a strategy as a `ServerApp`: prepare the group, then its rounds. Returns Flower's result."""
    app_module, server = flower("flwr.app"), flower("flwr.serverapp")
    app = server.ServerApp()
    results: list[Any] = []

    @app.main()
    def main(grid: Any, context: Any) -> None:
        secure.prepare(grid)
        arrays = record(first)["arrays"]
        results.append(strategy.start(grid, arrays, num_rounds=rounds))

    context = app_module.Context(
        run_id=1, node_id=1, node_config={}, state=app_module.RecordDict(), run_config={}
    )
    app(grid, context)
    return results[0]


def _secured(base: type[Any]) -> type[Any]:
    """Flower's averaging strategy with its aggregation under masks."""

    class Secured(base):  # type: ignore[misc]
        def __init__(
            self, secure: SecureSum, furthest: Callable[[int], float] | None = None, **settings: Any
        ) -> None:
            super().__init__(fraction_evaluate=0.0, min_train_nodes=2, min_available_nodes=2, **settings)
            self._secure, self._furthest = secure, furthest
            self._grid: Any = None
            self._weights: Floats = np.zeros(0)
            self.rows = 0

        def configure_train(self, server_round: int, arrays: Any, config: Any, grid: Any) -> Iterable[Any]:
            self._grid, self._weights = grid, arrays[WEIGHTS].numpy()
            for name, value in self._secure.terms(server_round - 1).items():
                config[name] = value
            messages = super().configure_train(server_round, arrays, config, grid)
            return self._secure.begin(server_round - 1, messages)

        def aggregate_train(self, server_round: int, replies: Iterable[Any]) -> tuple[Any, Any]:
            sums = self._secure.opened(self._grid, server_round - 1, replies)
            mean, self.rows = self.mean(sums)
            if self._furthest is not None:
                # members refuse a model that moved further, and one that lies in the sum ends nothing so
                furthest = self._furthest(server_round - 1)
                mean = np.clip(mean, -furthest, furthest)
            moved = np.clip(self._weights + mean, -MOST_WEIGHT, MOST_WEIGHT)
            return record({WEIGHTS: moved})["arrays"], None

        def mean(self, sums: Integers) -> tuple[Floats, int]:
            return weighted_mean(sums)

    return Secured


def secure_fedavg(secure: SecureSum, furthest: Callable[[int], float] | None = None) -> Any:
    """FedAvg (McMahan et al. 2017) under masks; the rows that weigh an update are inside the sum.

    Args:
        furthest: by round, how far a weight of the mean update moves at most.
    """
    return _secured(flower("flwr.serverapp.strategy").FedAvg)(secure, furthest)


def secure_fedprox(secure: SecureSum, proximal: float, furthest: Callable[[int], float] | None = None) -> Any:
    """FedProx (Li et al. 2020) under masks, as `secure_fedavg`: members are told the proximal weight."""
    return _secured(flower("flwr.serverapp.strategy").FedProx)(secure, furthest, proximal_mu=proximal)


def secure_party_mean(secure: SecureSum, noise: SharedNoise, bits: int, proximal: float) -> Any:
    """FedAvg or FedProx with differential privacy per member: clipped updates count alike, whatever the rows.

    Args:
        noise: of the session.
        bits: updates are in steps of 2^-bits.
    """
    strategies = flower("flwr.serverapp.strategy")

    def secured(base: type[Any], **settings: Any) -> Any:
        class Mean(_secured(base)):  # type: ignore[misc]
            def mean(self, sums: Integers) -> tuple[Floats, int]:
                # a release of so many rounds has one size
                return np.ldexp(noise.read(0, sums), -bits) / len(secure.collector.survivors), 0

        return Mean(secure, **settings)

    if proximal:
        return secured(strategies.FedProx, proximal_mu=proximal)
    return secured(strategies.FedAvg)


def secure_steps(secure: SecureSum, conversation: Conversation) -> Any:
    """A strategy for any conversation of sums: what it asks and makes of them is the conversation's."""
    base = flower("flwr.serverapp.strategy").Strategy
    message_class = flower("flwr.app").Message

    class SecureSteps(base):  # type: ignore[misc]
        _grid: Any = None

        def configure_train(self, server_round: int, arrays: Any, config: Any, grid: Any) -> Iterable[Any]:
            self._grid = grid
            number = server_round - 1
            asked, settings = conversation.question(number)
            content = record(asked, {**settings, **secure.terms(number)})
            return secure.begin(number, [message_class(content, node, TRAIN) for node in secure.alive])

        def aggregate_train(self, server_round: int, replies: Iterable[Any]) -> tuple[Any, Any]:
            sums = secure.opened(self._grid, server_round - 1, replies)
            conversation.answer(server_round - 1, sums, len(secure.collector.survivors))
            return None, None

        def configure_evaluate(self, *given: Any, **named: Any) -> Iterable[Any]:
            return []

        def aggregate_evaluate(self, *given: Any, **named: Any) -> None:
            return None

        def summary(self) -> None:
            return None

    return SecureSteps()


Carry = Callable[[list[tuple[str, Any]]], list[Any]]
"""(member, message) pairs -> their replies in the same order, None where a member is gone."""


def grid_of(nodes: Mapping[str, int], carry: Carry) -> Any:
    """A Flower `Grid` over a function that carries messages to members and their replies back."""
    base = flower("flwr.serverapp").Grid
    app = flower("flwr.app")
    run_class = flower("flwr.supercore.run").Run
    names = {number: name for name, number in nodes.items()}

    class OverFunction(base):  # type: ignore[misc]
        def __init__(self) -> None:
            self._run = run_class.create_empty(run_id=1)
            self._gone: set[int] = set()
            self._replies: dict[str, Any] = {}

        def set_run(self, run: Any) -> None:
            self._run = run

        @property
        def run(self) -> Any:
            return self._run

        def create_message(
            self, content: Any, message_type: str, dst_node_id: int, group_id: str, ttl: Any = None
        ) -> Any:
            return app.Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

        def get_node_ids(self) -> Iterable[int]:
            return [number for number in names if number not in self._gone]

        def push_messages(self, messages: Iterable[Any]) -> Iterable[str]:
            listed = list(messages)
            replies = self.send_and_receive(listed)
            placed = [f"{len(self._replies) + at}" for at in range(len(listed))]
            self._replies.update(zip(placed, replies, strict=True))
            return placed

        def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Any]:
            return [self._replies.pop(each) for each in message_ids if each in self._replies]

        def send_and_receive(self, messages: Iterable[Any], *, timeout: float | None = None) -> Iterable[Any]:
            listed = list(messages)
            if not listed:
                return []
            replies = carry([(names[message.metadata.dst_node_id], message) for message in listed])
            told: list[Any] = []
            for message, reply in zip(listed, replies, strict=True):
                if reply is None:
                    self._gone.add(message.metadata.dst_node_id)
                    # the code says that there is no answer; why is not told, least of all by an exception
                    reply = app.Message(app.Error(5, "the member is gone"), reply_to=message)
                told.append(reply)
            return told

    return OverFunction()
