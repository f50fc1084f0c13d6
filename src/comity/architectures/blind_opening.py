"""What a mediator that answers by itself does: charge every provider's account once, then answer from that.

In `entrusted` mode and with encrypted groupings the ML party's answers come from the mediator, so its own
ledger charges every provider's account too. The charge is that of all answers together and is durable before
a label, or anything made of labels, is looked at; every answer then draws on it, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from comity.architectures.blind_frame import PORTIONS, TOPIC, shared_price, stored
from comity.architectures.definition import Seat
from comity.architectures.exchange import receive_share, send_answer
from comity.crypto.canonical import digest
from comity.crypto.pads import random_name
from comity.errors import ComityError, Refused
from comity.gate import refusal_of
from comity.ledger import Account, PrivacyUnit
from comity.plan import Outcome, Plan
from comity.wire import Channel

OPENED = "opened"


def send_opening(
    seat: Seat, channel: Channel, records: int, asks: Mapping[str, Any], check: Callable[[], None]
) -> str:
    """Charge every provider's account, look at what they sent, and tell the ML party that it may ask.

    Args:
        check: raises if what the providers sent does not fit together.

    Returns:
        The plan name that answers draw on.
    """
    session = stored(seat).once("opening", "opening", lambda: {"name": random_name().encode()})["name"]

    def run() -> Outcome:
        check()
        return Outcome(body={"records": records})

    first, *others = _accounts(seat)
    opening = Plan(
        architecture="blind-validation",
        purpose=f"up to {len(PORTIONS)} answers over the labels of {len(seat.providers)} providers",
        recipient=seat.ml_party,
        topic=OPENED,
        request={"session": session.decode(), "records": records},
        asks=asks,
        account=first,
        also=tuple(others),
        cost=shared_price(seat).cost,
        run=run,
        sealed=True,
        opens=len(PORTIONS),
    )
    send_answer(seat, channel, opening)
    return opening.name


def await_opening(seat: Seat, channel: Channel, mediator: str) -> None:
    """At the ML party: wait until every account is charged.

    Raises:
        ClauseRefused: if the mediator refused, with its words.
    """
    receive_share(seat, channel, mediator, OPENED)


def send_drawn(
    seat: Seat,
    channel: Channel,
    opening: str,
    asks: Mapping[str, Any],
    *,
    portion: int,
    name: str,
    asked: Mapping[str, Any],
    draw: Callable[[], Mapping[str, bytes]],
) -> None:
    """One answer to the ML party: drawn once, stored, and the same bytes to who asks the same again.

    Args:
        opening: what it draws on.
        asked: everything that the answer depends on.
        draw: makes the parts; called at most once for a portion.

    Raises:
        ClauseRefused: after it was sent, if another question had this portion.
    """

    def run() -> Outcome:
        parts = stored(seat).once(f"answer-{portion:x}", digest(dict(asked)), draw)
        return Outcome(body={"query": name}, parts=parts)

    send_answer(
        seat,
        channel,
        Plan(
            architecture="blind-validation",
            purpose="one of the answers that the opening has paid for",
            recipient=seat.ml_party,
            topic=TOPIC,
            request={"opening": opening, "portion": portion},
            asks=asks,
            account=_accounts(seat)[0],
            cost=None,
            draws_on=opening,
            run=run,
        ),
    )


def refused(channel: Channel, recipient: str, error: ComityError, topic: str) -> None:
    """Tell who asked that there is no answer; a refusal ends there, anything else stops this party."""
    channel.send(recipient, refusal_of(error, topic=topic))
    if not isinstance(error, Refused):
        raise error


def _accounts(seat: Seat) -> list[Account]:
    return [
        Account(provider=name, lineage=seat.agreement.data_of(name).lineage, unit=PrivacyUnit.label)
        for name in seat.providers
    ]
