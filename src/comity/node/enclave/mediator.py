"""A node that is a mediator and nothing else: the part of comity that is meant to run in an enclave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comity.errors import ClauseRefused
from comity.node.service import Node

if TYPE_CHECKING:
    from comity.agreement import Agreement
    from comity.wire import Message


class MediatorNode(Node):
    """Takes part in sessions as a mediator only: `mediated-release` and `blind-validation`."""

    def _check_invitation(self, message: Message, agreement: Agreement) -> None:
        super()._check_invitation(message, agreement)
        role = agreement.party(self.name).role
        if role != "mediator":
            raise ClauseRefused(
                f"'{self.name}' runs as a mediator only; this agreement has it as {role}",
                clause=f"parties.{self.name}.role",
            )
