"""Flower, loaded quietly: no telemetry, no update check, no dependency install, no network.

Only its library parts are used: `ClientApp`, `ServerApp`, strategies, messages and the abstract `Grid`.
What its network stack does (SuperLink, SuperNode, the Control API) is done by comity's own Channel, and
none of its secure aggregation or differential privacy is used. Every other module here imports Flower
through this one.
"""

from __future__ import annotations

import importlib
import logging
import os
from types import ModuleType
from typing import Final

from comity.errors import MissingExtra

SWITCHES: Final = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}
"""Read by Flower when it is loaded, so they are set before."""

_NOBODY: Final = 1


def flower(name: str) -> ModuleType:
    """A module of Flower, such as `flwr.serverapp`.

    Raises:
        MissingExtra: if Flower is not installed.
    """
    os.environ.update(SWITCHES)
    # its strategies narrate every round, and warn of settings that are meant here
    logging.getLogger("flwr").setLevel(logging.ERROR)
    try:
        identity = importlib.import_module("flwr.supercore.task_identity").TaskIdentity
        found = importlib.import_module(name)
    except ImportError:
        raise MissingExtra("the architecture 'federated'", "federated") from None
    # its messages ask the process who it is; comity's own messages around them say so, signed
    identity.task_id = identity.run_id = identity.node_id = _NOBODY
    return found
