"""`blind-validation` (2.B): a mediator answers the ML party's question over labels that it cannot read.

The ML party holds features and ids of the frame, the providers hold labels of records in it. Keys are agreed
between each provider and the ML party; every provider uploads padded words for the whole frame; the mediator
adds them up, answers the question over the sum, hides the answer under a second pad and cuts it into
summands; each provider adds its noise to one; the ML party puts them together (`comity.validate.blind`).
The price is charged when a provider's upload leaves, for all answers that it can open to.

Mode `entrusted`: the providers' labels go to the mediator in the clear, under a clause that allows it, and
the mediator answers as one validator (`blind_entrusted.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.architectures import blind_entrusted as entrusted
from comity.architectures.blind_frame import (
    MINIMUM_GROUP,
    QUERIES,
    TOPIC,
    agreed_frame,
    budgeted_price,
    frame_of,
    mediator_of,
    own_labels,
    read_question,
    taught,
)
from comity.architectures.definition import Architecture, Guarantee, Options, Pilot, Seat, Trust
from comity.architectures.exchange import account_of, receive_query, receive_release, send_answer, send_query
from comity.architectures.models import membership_attack
from comity.architectures.validation import label_attack
from comity.attack.result import AttackResult
from comity.crypto.canonical import digest
from comity.crypto.exchange import Exchange, Offer, SharedKey
from comity.crypto.pads import random_key, random_name
from comity.crypto.sealed import open_sealed, seal_to
from comity.errors import BadInput, PartyFailed
from comity.ledger import PrivacyUnit
from comity.plan import Outcome, Plan
from comity.validate.blind import (
    PadKeys,
    Pooled,
    TokenOrder,
    Upload,
    masked_answer,
    opened,
    second_noise,
    total_deviation,
)
from comity.validate.mechanism import Sizes, calibrate
from comity.validate.request import ScoreStatistics
from comity.wire import Channel, Kind, Message

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from comity.crypto.pads import Words
    from comity.validate.mechanism import Calibration

_UPLOAD, _ANSWER = "upload", "answer"


def _purpose(seat: Seat, other: str) -> str:
    """What a key between two parties is for: the same text at both ends."""
    return digest({"agreement": seat.agreement.digest, "between": sorted([seat.party, other])})


def _provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    if seat.options.mode == "entrusted":
        return entrusted.provider(seat, channel)
    mediator = mediator_of(seat)
    invitation = receive_query(channel, seat.ml_party, "frame")
    frame = agreed_frame(seat, invitation)
    theirs = Offer.from_dict(invitation.body.get("offer"))
    token_key = open_sealed(seat.key, invitation.parts.get("token_key", b""), purpose="token key")
    exchange = Exchange(
        sender=seat.party, recipient=seat.ml_party, purpose=_purpose(seat, seat.ml_party), key=seat.key
    )
    shared = exchange.agree(theirs, key=seat.agreement.party(seat.ml_party).key)
    keys = PadKeys(shared, seat.party, seat.agreement.digest, random_name())
    price = budgeted_price(seat, seat.party)

    def upload() -> Outcome:
        held, labels = own_labels(seat, frame)
        order = TokenOrder.over(len(frame), token_key)
        return Outcome(
            body={"offer": exchange.offer.to_dict(), "nonce": keys.nonce},
            parts=Upload.of(held, labels, order, keys).to_parts(),
        )

    share = Plan(
        architecture="blind-validation",
        purpose=f"padded labels of {seat.party} over a frame of {len(frame)} records",
        recipient=mediator,
        topic=_UPLOAD,
        request={"frame": digest(frame), "offer": theirs.to_dict(), "nonce": keys.nonce},
        asks={"mode": "linked", "minimum_group": MINIMUM_GROUP},
        account=account_of(seat, unit=PrivacyUnit.label),
        cost=price.cost,
        run=upload,
        sealed=True,
        opens=QUERIES,
    )
    send_answer(seat, channel, share)
    answered: set[str] = set()
    for _ in range(QUERIES):
        _add_noise(seat, channel, share, answered)
    return {"rows_used": len(frame)}


def _add_noise(seat: Seat, channel: Channel, share: Plan, answered: set[str]) -> None:
    """Add this provider's noise to a summand that looks random to it, once per answer."""
    message = receive_query(channel, mediator_of(seat), _ANSWER)
    try:
        name, sizes = str(message.body["query"]), Sizes.from_dict(message.body["sizes"])
        words = np.frombuffer(message.parts["summand"], dtype="<u8").astype(np.uint64)
    except (KeyError, ValueError):
        raise BadInput(f"'{message.sender}' sent an answer in a form that cannot be read") from None
    if name in answered or len(words) != sizes.dimensions:
        raise BadInput(f"'{message.sender}' sent an answer twice, or one of the wrong size")
    answered.add(name)
    calibration = calibrate(sizes, budgeted_price(seat, seat.party))
    noisy = Plan(
        architecture="blind-validation",
        purpose=f"{seat.party}'s noise on one of the answers its upload has paid for",
        recipient=seat.ml_party,
        topic=TOPIC,
        request={"query": name, "sizes": sizes.to_dict()},
        asks={"mode": "linked", "minimum_group": MINIMUM_GROUP},
        account=account_of(seat, unit=PrivacyUnit.label),
        cost=None,
        draws_on=share.name,
        run=lambda: _noised(words, calibration, len(seat.providers)),
    )
    send_answer(seat, channel, noisy)


def _noised(words: Words, calibration: Calibration, providers: int) -> Outcome:
    noisy = second_noise(words, calibration, providers)
    return Outcome(body={}, parts={"summand": noisy.astype("<u8").tobytes()})


def _mediator(seat: Seat, channel: Channel) -> dict[str, Any]:
    if seat.options.mode == "entrusted":
        return entrusted.mediator(seat, channel)
    opening = receive_query(channel, seat.ml_party, "open")
    exchange = Exchange(
        sender=seat.party, recipient=seat.ml_party, purpose=_purpose(seat, seat.ml_party), key=seat.key
    )
    shared = exchange.agree(
        Offer.from_dict(opening.body.get("offer")), key=seat.agreement.party(seat.ml_party).key
    )
    records = _agreed_rows(seat)
    uploads, offers = _uploads(seat, channel, records)
    pooled = Pooled.over(uploads)
    send_query(channel, seat.ml_party, "ready", {"offer": exchange.offer.to_dict(), "providers": offers}, {})
    answered: dict[str, str] = {}
    for _ in range(QUERIES):
        _answer_blind(seat, channel, pooled, shared, answered)
    return {"rows_used": records}


def _agreed_rows(seat: Seat) -> int:
    clause = seat.agreement.clause("blind-validation")
    frame = getattr(clause, "frame", None)
    if frame is None:
        raise BadInput("the agreement fixes no frame for blind validation")
    return frame.rows


def _uploads(seat: Seat, channel: Channel, records: int) -> tuple[dict[str, Upload], dict[str, Any]]:
    """Every provider's upload and its key offer; anything missing or odd stops all of it before counting."""
    uploads: dict[str, Upload] = {}
    offers: dict[str, Any] = {}
    for provider in seat.providers:
        message = _share(seat, channel, provider)
        outcome = message.body["outcome"]
        uploads[provider] = Upload.from_parts(message.parts, records=records)
        offers[provider] = {"offer": outcome.get("offer"), "nonce": outcome.get("nonce")}
    nonces = [str(entry["nonce"]) for entry in offers.values()]
    if len(set(nonces)) != len(nonces):
        raise BadInput("two uploads have the same nonce; nothing was counted")
    return uploads, offers


def _share(seat: Seat, channel: Channel, provider: str) -> Message:
    message = channel.receive(provider)
    if message.kind is Kind.refusal:
        raise PartyFailed(f"'{provider}' refused: {message.body.get('message', message.body.get('code'))}")
    if message.kind is not Kind.share or message.topic != _UPLOAD:
        raise PartyFailed(f"'{provider}' sent a {message.kind} where its upload was due")
    if not isinstance(message.body.get("outcome"), dict):
        raise BadInput(f"'{provider}' sent an upload that cannot be read")
    return message


def _answer_blind(
    seat: Seat, channel: Channel, pooled: Pooled, shared: SharedKey, answered: dict[str, str]
) -> None:
    """Take one question, and send each provider its summand of the answer."""
    message = receive_query(channel, seat.ml_party, "question")
    request = read_question(seat, message, len(pooled.tokens))
    name = str(message.body.get("name", ""))
    if len(name) != 32 or name in answered:
        raise BadInput(f"'{message.sender}' asked without a new name for its question")
    answered[name] = digest(dict(message.body))
    calibration = calibrate(request, budgeted_price(seat, seat.providers[0]))
    summands = masked_answer(
        pooled, request, "label", calibration, _second_pad(shared, name), len(seat.providers)
    )
    sizes = Sizes.of(request).to_dict()
    for provider, words in zip(seat.providers, summands, strict=True):
        parts = {"summand": words.astype("<u8").tobytes()}
        send_query(channel, provider, _ANSWER, {"query": name, "sizes": sizes}, parts)


def _second_pad(shared: SharedKey, name: str) -> bytes:
    return shared.derive(use="second pad", query=name)


def _ml_party(seat: Seat, channel: Channel) -> dict[str, Any]:
    if seat.options.mode == "entrusted":
        return entrusted.ml_party(seat, channel)
    session = _Blind.open(seat, channel)

    def ask(request: ScoreStatistics) -> tuple[NDArray[np.float64], float]:
        return session.ask(request)

    return taught(seat, ask, providers=len(seat.providers))


class _Blind:
    """The ML party's end: keys with everybody, the order of the tokens, and questions in that order."""

    def __init__(
        self, seat: Seat, channel: Channel, shared: SharedKey, order: TokenOrder, keys: list[PadKeys]
    ) -> None:
        self._seat = seat
        self._channel = channel
        self._shared = shared
        self._order = order
        self._keys = keys

    @classmethod
    def open(cls, seat: Seat, channel: Channel) -> _Blind:
        """Agree on keys with every provider and the mediator; wait until all uploads are in."""
        frame = frame_of(seat)[1]
        token_key = random_key()
        mediator = mediator_of(seat)
        exchanges = {
            other: Exchange(sender=seat.party, recipient=other, purpose=_purpose(seat, other), key=seat.key)
            for other in (*seat.providers, mediator)
        }
        for provider in seat.providers:
            parts = {
                "ids": json.dumps(frame).encode(),
                "token_key": seal_to(seat.agreement.party(provider).key, token_key, purpose="token key"),
            }
            send_query(channel, provider, "frame", {"offer": exchanges[provider].offer.to_dict()}, parts)
        send_query(channel, mediator, "open", {"offer": exchanges[mediator].offer.to_dict()}, {})
        order = TokenOrder.over(len(frame), token_key)
        ready = receive_query(channel, mediator, "ready")
        agreed = {
            other: exchanges[other].agree(Offer.from_dict(document), key=seat.agreement.party(other).key)
            for other, document in _offers(ready, seat, mediator).items()
        }
        keys = [
            PadKeys(agreed[name], name, seat.agreement.digest, _nonce(ready, name)) for name in seat.providers
        ]
        return cls(seat, channel, agreed[mediator], order, keys)

    def ask(self, request: ScoreStatistics) -> tuple[NDArray[np.float64], float]:
        """(dimensions,) noisy sums over all providers, and the standard deviation of their noise."""
        name = random_name()
        question, parts = request.of(self._order.places).to_message()
        mediator = mediator_of(self._seat)
        send_query(self._channel, mediator, "question", {"name": name, "question": question}, parts)
        calibration = calibrate(request, budgeted_price(self._seat, self._seat.providers[0]))
        summands = [self._summand(provider, request.dimensions) for provider in self._seat.providers]
        sums = opened(summands, request, "label", calibration, _second_pad(self._shared, name), self._keys)
        return sums, total_deviation(calibration, len(self._keys))

    def _summand(self, provider: str, dimensions: int) -> Words:
        message = receive_release(self._seat, self._channel, provider, TOPIC)
        data = message.parts.get("summand", b"")
        if len(data) != 8 * dimensions:
            raise PartyFailed(f"'{provider}' answered in a form that cannot be read")
        return np.frombuffer(data, dtype="<u8").astype(np.uint64)


def _offers(ready: Message, seat: Seat, mediator: str) -> dict[str, Any]:
    """Everybody's key offers as the mediator passes them on; their signatures are checked when used."""
    providers = ready.body.get("providers")
    if not isinstance(providers, Mapping) or set(providers) != set(seat.providers):
        raise PartyFailed(f"'{mediator}' does not pass on the key of every provider")
    offers = {name: entry.get("offer") for name, entry in providers.items() if isinstance(entry, Mapping)}
    return {**offers, mediator: ready.body.get("offer")}


def _nonce(ready: Message, provider: str) -> str:
    nonce = ready.body["providers"][provider].get("nonce")
    if not isinstance(nonce, str) or len(nonce) != 32:
        raise PartyFailed(f"the upload of '{provider}' has no nonce of 128 bits")
    return nonce


def _clause(options: Options) -> dict[str, Any]:
    return {
        "mode": options.mode or "linked",
        "epsilon": options.epsilon,
        "delta": options.delta,
        "minimum_group": MINIMUM_GROUP,
        "queries": QUERIES,
        "groups_per_record": 64,
    }


def _guarantee(options: Options) -> Guarantee:
    return Guarantee(
        epsilon=options.epsilon,
        delta=options.delta,
        unit="label",
        relation="change-one",
        prior_knowledge=("features", "ids"),
        note="Holds for each record's label at each provider against the ML party, if the mediator counts "
        "correctly and tells nobody its keys. It says nothing about who is in the frame, which all parties "
        "know; the seed rows are outside it.",
    )


def _attacks(pilot: Pilot) -> dict[str, AttackResult]:
    # the adversary of the label attack is given the providers' noises: only the mediator's is left
    return {"label": label_attack(pilot), "membership": membership_attack(pilot)}


ARCHITECTURE = Architecture(
    name="blind-validation",
    summary="A mediator answers the ML party's question over padded labels that it cannot read (2.B).",
    programs={"provider": _provider, "mediator": _mediator, "ml_party": _ml_party},
    clause=_clause,
    guarantee=_guarantee,
    trust=(
        Trust("mediator", "counts correctly, and colludes neither with the ML party nor with a provider"),
        Trust("provider", "answers honestly, and at most one of them tells its noise"),
        Trust("ml_party", "may know the features and ids of the records of the frame"),
    ),
    seen_by={
        "provider": ("the ids of the frame", "numbers that look random, to add noise to; no prediction"),
        "mediator": (
            "uniform words for every record of the frame, under tokens instead of ids",
            "which tokens share opaque groups of the question, and how large those are",
        ),
        "ml_party": (
            "one noisy sum per question and group over all providers",
            "features and ids, which it had before",
        ),
    },
    modes=("linked", "entrusted"),
    charges=True,
    attacks=_attacks,
    frame=True,
    exposures={"entrusted": entrusted.EXPOSURE},
)
