"""A member as a Flower `ClientApp`: six things it answers, and nothing else.

`query.keys`, `query.shares`, `query.take`, then per round `train`, `query.survivors`, `query.reveal`. A
reply to `train` is one masked vector; the others hold keys, sealed shares, a signature, and what opens a
round. What the member works out in a round is handed in as a function (`Work`), so that the protocol does
not know what is being learned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, VerificationFailed
from comity.train.federated.engine import flower
from comity.train.federated.member import Member, Reveal, as_words
from comity.train.federated.records import arrays_of, config_of, packed, query_digest, record, unpacked

Work = Callable[[int, Mapping[str, NDArray[Any]], Mapping[str, Any]], NDArray[np.int64]]
"""(round, arrays, configuration) -> (d,) whole numbers to be added up, the member's noise in them."""

KEYS, SHARES, TAKE = "query.keys", "query.shares", "query.take"
TRAIN, SURVIVORS, REVEAL = "train", "query.survivors", "query.reveal"
SETUP: Final = (KEYS, SHARES, TAKE)
ROUND_STAGES: Final = (TRAIN, SURVIVORS, REVEAL)
MASKED: Final = "masked"
ROUND, ACTIVE, NAMES, HELD = "round", "active", "names", "held"


def client_app(member: Member, work: Work) -> Any:
    """The `ClientApp` of a member. Its replies never hold an array but the masked one."""
    app = flower("flwr.clientapp").ClientApp()
    message_class = flower("flwr.app").Message

    def reply(message: Any, *, arrays: Mapping[str, NDArray[Any]] | None = None, **config: Any) -> Any:
        return message_class(record(arrays, config), reply_to=message)

    @app.query("keys")
    def keys(message: Any, context: Any) -> Any:
        return reply(message, keys=member.keys().to_bytes())

    @app.query("shares")
    def shares(message: Any, context: Any) -> Any:
        return reply(message, **packed(member.shares(unpacked(config_of(message.content)))))

    @app.train()
    def train(message: Any, context: Any) -> Any:
        arrays, config = arrays_of(message.content), config_of(message.content)
        # Flower counts its rounds from 1 in a setting of its own; what counts here is what is signed
        asked = query_digest(arrays, config)
        number, _ = member.begin(config.get(ROUND), asked, _texts(config, ACTIVE))
        words = as_words(work(number, arrays, config))
        return reply(message, arrays={MASKED: member.mask(words)})

    @app.query("survivors")
    def survivors(message: Any, context: Any) -> Any:
        config = config_of(message.content)
        return reply(message, signature=member.sign(_number(config), _texts(config, NAMES)))

    @app.query("reveal")
    def reveal(message: Any, context: Any) -> Any:
        config = config_of(message.content)
        opened = member.reveal(_number(config), unpacked(config))
        return reply(message, **revealed(opened))

    @app.query("take")
    def take(message: Any, context: Any) -> Any:
        return reply(message, held=list(member.take(unpacked(config_of(message.content)))))

    return app


def held_from(config: Mapping[str, Any]) -> list[str]:
    """Whose shares a member says that it holds, in its reply to `query.take`.

    Raises:
        BadInput: for anything else.
    """
    return _texts(config, HELD)


def revealed(opened: Reveal) -> dict[str, Any]:
    """A member's shares as settings."""
    return packed(
        {
            **{f"seed {name}": share for name, share in opened.seeds.items()},
            **{f"key {name}": share for name, share in opened.mask_keys.items()},
        }
    )


def reveal_from(config: Mapping[str, Any]) -> Reveal:
    """What `revealed` wrote.

    Raises:
        VerificationFailed: for anything else.
    """
    seeds: dict[str, bytes] = {}
    mask_keys: dict[str, bytes] = {}
    for name, share in unpacked(config).items():
        kind, _, about = name.partition(" ")
        if kind not in ("seed", "key"):
            raise VerificationFailed("a member revealed something that no round needs")
        (seeds if kind == "seed" else mask_keys)[about] = share
    return Reveal(seeds, mask_keys)


def _number(config: Mapping[str, Any]) -> int:
    number = config.get(ROUND)
    if type(number) is not int:
        raise BadInput("the number of a round is missing")
    return number


def _texts(config: Mapping[str, Any], name: str) -> list[str]:
    texts = config.get(name)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise BadInput(f"a list of members ('{name}') is missing")
    return texts
