"""`federated`, the ML party's end: a Flower `ServerApp` whose Grid is comity's Channel.

It relays keys and sealed shares between providers, opens one sum per round, and learns from the sums. What it
sees of one provider are uniform words.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.architectures.definition import Seat
from comity.architectures.exchange import receive_notice, receive_share, send_query
from comity.architectures.federated_features import Features
from comity.architectures.federated_provider import OPEN
from comity.architectures.federated_terms import (
    FEATURES,
    SEEN,
    Settings,
    federated_clause,
    figures_of,
    group_of,
    noise_of,
)
from comity.architectures.models import keep_scores, labels_of
from comity.data.table import Table
from comity.errors import BadInput, PartyFailed
from comity.train.federated.clients import MASKED, TRAIN
from comity.train.federated.collector import Collector
from comity.train.federated.descent import Talk, course_of
from comity.train.federated.engine import flower
from comity.train.federated.networks import Network, chances
from comity.train.federated.records import arrays_of, config_of, from_parts, record, to_parts
from comity.train.federated.servers import (
    WEIGHTS,
    SecureSum,
    grid_of,
    run_server,
    secure_fedavg,
    secure_fedprox,
    secure_party_mean,
    secure_steps,
)
from comity.train.federated.shared_noise import CAP_BITS, SharedNoise
from comity.wire import Channel

if TYPE_CHECKING:
    pass


def ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Open the conversation, run the ServerApp over it, and score the probe rows."""
    seeds = Table(seat.table("seed"))
    features = Features.drawn_up(seat.task, seeds)
    for name in seat.providers:
        send_query(channel, name, OPEN, {"features": features.to_dict()}, {})
    gone: list[str] = []
    for name in seat.providers:
        try:
            receive_share(seat, channel, name, OPEN)
        except PartyFailed:
            gone.append(name)
    settings, collector = Settings.of(seat), Collector(group_of(seat, features))
    collector.drop(gone)
    nodes = {name: number for number, name in enumerate(seat.providers, start=1)}
    secure = SecureSum(collector, nodes)
    grid = grid_of(nodes, _Carrier(seat, channel, gone).carry)
    noise = None if settings.exact else noise_of(seat, seat.providers[0], features)
    probe = Table(seat.table("probe"))
    if noise is not None and not settings.party:
        start = features.start(seeds, labels_of(seeds.arrow, seat.task), seat.options.seed)
        talk = Talk(course_of(features.encoder), noise, start)
        run_server(grid, secure, secure_steps(secure, talk), {}, settings.rounds)
        corrected = features.odds(start, probe) + talk.model.scores(features.codes(probe))
        scores, rows = chances(corrected), None
    else:
        network = Network(features.width, settings.hidden)
        strategy = _strategy(settings, secure, noise)
        first = {WEIGHTS: network.start(seat.options.seed)}
        result = run_server(grid, secure, strategy, first, settings.rounds)
        scores = network.scores(result.arrays[WEIGHTS].numpy(), features.matrix(probe))
        rows = strategy.rows or None
    _keep_seen(seat, secure, features)
    keep_scores(seat, {"federated": scores})
    own = {} if rows is not None else {"own_rows": 0 if settings.party else seeds.rows}
    found = federated_clause(seat)
    stayed = {"stayed": list(collector.alive)}
    return {"rows_used": rows, **own, **stayed, **figures_of(noise, found, len(seat.providers))}


def _strategy(settings: Settings, secure: SecureSum, noise: SharedNoise | None) -> Any:
    if noise is not None:
        return secure_party_mean(secure, noise, CAP_BITS, settings.proximal)
    return secure_fedprox(secure, settings.proximal) if settings.proximal else secure_fedavg(secure)


class _Carrier:
    """Carries Flower's messages over the Channel, to all members at once. Who does not answer is gone."""

    def __init__(self, seat: Seat, channel: Channel, gone: list[str]) -> None:
        self._seat, self._channel, self._gone = seat, channel, set(gone)
        self._message = flower("flwr.app").Message

    def carry(self, asked: list[tuple[str, Any]]) -> list[Any]:
        """Replies in the order of the messages; None for a member that is gone.

        Raises:
            ClauseRefused: if a provider refuses: that ends the run for all.
        """
        for name, message in asked:
            if name not in self._gone:
                body, parts = to_parts(arrays_of(message.content), config_of(message.content))
                self._guarded(
                    name,
                    lambda n=name, m=message, b=body, p=parts: send_query(
                        self._channel, n, m.metadata.message_type, b, p
                    ),
                )
        return [
            self._guarded(name, lambda n=name, m=message: self._received(n, m)) for name, message in asked
        ]

    def _guarded(self, name: str, act: Any) -> Any:
        if name in self._gone:
            return None
        try:
            return act()
        except PartyFailed:
            self._gone.add(name)
            return None

    def _received(self, name: str, message: Any) -> Any:
        stage = message.metadata.message_type
        if stage == TRAIN:
            share = receive_share(self._seat, self._channel, name, TRAIN)
            data = share.parts.get(MASKED, b"")
            if len(data) % 8:
                raise PartyFailed(f"'{name}' sent no masked vector")
            content = record({MASKED: np.frombuffer(data, dtype="<u8").astype(np.uint64)})
        else:
            notice = receive_notice(self._channel, name, stage)
            try:
                content = record(*from_parts(notice.body, notice.parts))
            except BadInput:
                raise PartyFailed(f"'{name}' sent a notice that cannot be read") from None
        return self._message(content, reply_to=message)


def _keep_seen(seat: Seat, secure: SecureSum, features: Features) -> None:
    """What this party saw, in its own session folder, for whoever attacks it."""
    seen = {f"sum-{at}": sums for at, sums in enumerate(secure.sums)}
    seen |= {f"words-{at}": words for at, words in enumerate(secure.words)}
    for at, asked in enumerate(secure.asked):
        seen |= {f"{name}-{at}": values for name, values in asked.items()}
    np.savez_compressed(seat.session / SEEN, **seen)  # type: ignore[arg-type]
    (seat.session / FEATURES).write_text(json.dumps(features.to_dict()), encoding="utf-8")
