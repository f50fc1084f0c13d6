"""`federated`, the ML party's end: a Flower `ServerApp` whose Grid is comity's Channel.

It relays keys and sealed shares between providers, opens one sum per round, and learns from the sums. What it
sees of one provider are uniform words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

from comity.architectures.definition import Seat
from comity.architectures.exchange import receive_notice, receive_share, send_query
from comity.architectures.federated_features import Features
from comity.architectures.federated_provider import LEFT_OUT, OPEN
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
from comity.errors import ComityError, PartyFailed, Refused, VerificationFailed
from comity.gate import refusal_of
from comity.train.federated.clients import MASKED, TRAIN
from comity.train.federated.collector import Collector
from comity.train.federated.descent import Talk, course_of
from comity.train.federated.engine import flower
from comity.train.federated.networks import Network, chances, furthest_in
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
from comity.wire import Channel, Message


def ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Open the conversation, run the ServerApp over it, and score the probe rows.

    A provider that refuses, or sends what does not fit, has dropped out as one that does not answer.

    Raises:
        Refused, VerificationFailed, PartyFailed: if fewer than the threshold are left.
    """
    seeds = Table(seat.table("seed"))
    features = Features.drawn_up(seat.task, seeds)
    for name in seat.providers:
        send_query(channel, name, OPEN, {"features": features.to_dict()}, {})
    gone: dict[str, ComityError] = {}
    for name in seat.providers:
        try:
            receive_share(seat, channel, name, OPEN)
        except ComityError as error:
            gone[name] = error
    collector = Collector(group_of(seat, features))
    try:
        collector.drop(gone)
        found = _learned(seat, channel, features, seeds, collector, gone)
    except PartyFailed as error:
        raise _reason(collector, gone, error) from None
    _tell_left_out(seat, channel, collector, gone)
    refused = {name: str(error) for name, error in gone.items() if _came(error)}
    stayed = {"stayed": list(collector.alive), **({"refused": refused} if refused else {})}
    return {**found, **stayed}


def _learned(
    seat: Seat,
    channel: Channel,
    features: Features,
    seeds: Table,
    collector: Collector,
    gone: dict[str, ComityError],
) -> dict[str, Any]:
    """Run the ServerApp with those that are left, and score the probe rows. Who leaves is added to `gone`."""
    settings = Settings.of(seat)
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
    return {"rows_used": rows, **own, **figures_of(noise, found, len(seat.providers))}


def _reason(collector: Collector, gone: Mapping[str, ComityError], error: PartyFailed) -> ComityError:
    """Why too few are left: in the words of one that refused, if the run ends by refusals alone."""
    said = [each for each in gone.values() if not isinstance(each, PartyFailed)]
    if len(collector.group.members) - len(said) >= collector.group.threshold:
        return error
    return next((each for each in said if isinstance(each, Refused)), said[0])


def _tell_left_out(
    seat: Seat, channel: Channel, collector: Collector, gone: Mapping[str, ComityError]
) -> None:
    """Tell providers that were counted out and may still wait for a question."""
    for name in seat.providers:
        ended = name in gone and (isinstance(gone[name], Refused) or not _came(gone[name]))
        if name not in collector.alive and not ended:
            error = PartyFailed(f"'{name}' was left out: what it sent, or another member got, did not fit")
            with suppress(PartyFailed):
                channel.send(name, refusal_of(error, topic=LEFT_OUT))


def _strategy(settings: Settings, secure: SecureSum, noise: SharedNoise | None) -> Any:
    if noise is not None:
        return secure_party_mean(secure, noise, CAP_BITS, settings.proximal)
    furthest = partial(furthest_in, hidden=settings.hidden)
    if settings.proximal:
        return secure_fedprox(secure, settings.proximal, furthest)
    return secure_fedavg(secure, furthest)


class _Unreadable(PartyFailed):
    """A member's message arrived and is none; the member may wait for the next question."""


def _came(error: ComityError) -> bool:
    """Whether a member's message arrived, be it a refusal or one that is none."""
    return isinstance(error, _Unreadable) or not isinstance(error, PartyFailed)


class _Carrier:
    """Carries Flower's messages over the Channel, to all members at once. Who does not answer is gone.

    Args:
        gone: who is, and why; added to.
    """

    def __init__(self, seat: Seat, channel: Channel, gone: dict[str, ComityError]) -> None:
        self._seat, self._channel, self._gone = seat, channel, gone
        self._message = flower("flwr.app").Message

    def carry(self, asked: list[tuple[str, Any]]) -> list[Any]:
        """Replies in the order of the messages; None for a member that is gone, or refuses."""
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
        except (PartyFailed, Refused, VerificationFailed) as error:
            self._gone[name] = error
            return None

    def _received(self, name: str, message: Any) -> Any:
        stage = message.metadata.message_type
        if stage == TRAIN:
            came = receive_share(self._seat, self._channel, name, TRAIN)
        else:
            came = receive_notice(self._channel, name, stage)
        try:
            content = _masked(came) if stage == TRAIN else record(*from_parts(came.body, came.parts))
        except Exception as error:
            # these are one member's bytes: whatever they lead to here, it is that member's part that ends
            raise _Unreadable(f"'{name}' sent about '{stage}' what cannot be read") from error
        return self._message(content, reply_to=message)


def _masked(share: Message) -> Any:
    return record({MASKED: np.frombuffer(share.parts[MASKED], dtype="<u8").astype(np.uint64)})


def _keep_seen(seat: Seat, secure: SecureSum, features: Features) -> None:
    """What this party saw, in its own session folder, for whoever attacks it."""
    seen = {f"sum-{at}": sums for at, sums in enumerate(secure.sums)}
    seen |= {f"words-{at}": words for at, words in enumerate(secure.words)}
    for at, asked in enumerate(secure.asked):
        seen |= {f"{name}-{at}": values for name, values in asked.items()}
    np.savez_compressed(seat.session / SEEN, **seen)  # type: ignore[arg-type]
    (seat.session / FEATURES).write_text(json.dumps(features.to_dict()), encoding="utf-8")
