"""Giving orders to one's own node: signed with the party's key, which only its people have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from comity.crypto.pads import random_name
from comity.crypto.tls import client_context
from comity.errors import ComityError, PartyFailed, error_from
from comity.node.card import Card
from comity.node.deliver import code_of
from comity.node.folder import PartyFolder
from comity.wire import Query, Sealer

_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Answer:
    """What a node said to a request."""

    status: int
    body: Mapping[str, Any]


def give_order(
    folder: PartyFolder,
    topic: str,
    body: Mapping[str, Any],
    *,
    agreement: str = "",
    session: str | None = None,
) -> dict[str, Any]:
    """Have this party's node obey one order.

    Args:
        session: the name of the session that the order opens; a random one by default.

    Raises:
        PartyFailed: if the node does not answer.
        ComityError: whatever the node raised.
    """
    _, data = order_bytes(folder, topic, body, agreement=agreement, session=session)
    answer = call(folder, own_card(folder), "POST", "/orders", data)
    if answer.status == 200:
        return dict(answer.body)
    raise _raised(answer)


def order_bytes(
    folder: PartyFolder,
    topic: str,
    body: Mapping[str, Any],
    *,
    agreement: str = "",
    session: str | None = None,
) -> tuple[str, bytes]:
    """An order's name, which is that of the session it may open, and its signed bytes."""
    name = random_name() if session is None else session
    sealer = Sealer(session=name, agreement=agreement, party=folder.name, key=folder.key, may_query=True)
    return name, sealer.seal(folder.name, Query(topic, dict(body)))


def own_card(folder: PartyFolder) -> Card:
    """Where this party's own node listens."""
    return folder.card()


def call(
    folder: PartyFolder,
    card: Card,
    method: str,
    path: str,
    data: bytes = b"",
    *,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request to a party's node, with this party's certificate.

    Raises:
        PartyFailed: if it cannot be reached, or shows another certificate than its card.
    """
    import httpx

    context = client_context(folder.key, folder.certificate, card.certificate)
    # environment proxies must never carry a message to another host
    with httpx.Client(verify=context, timeout=_TIMEOUT_S, trust_env=False) as client:
        try:
            answer = client.request(
                method,
                f"https://{_in_url(card.host)}:{card.port}{path}",
                content=data or None,
                headers={"host": card.name, **(headers or {})},
                extensions={"sni_hostname": card.name},
            )
        except httpx.HTTPError as error:
            raise PartyFailed(
                f"the node of '{card.name}' does not answer at {card.url} ({type(error).__name__}); "
                "is it started (comity node start), and can this machine reach it?"
            ) from None
    try:
        body = answer.json() if answer.content else {}
    except ValueError:
        body = {}
    return Answer(answer.status_code, body if isinstance(body, dict) else {"code": code_of(answer)})


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _raised(answer: Answer) -> ComityError:
    message = str(answer.body.get("message", answer.body.get("code", f"HTTP {answer.status}")))
    return error_from(answer.body.get("exit_code"), f"the node answered: {message}", otherwise=PartyFailed)
