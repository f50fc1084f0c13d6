"""What a clean room tells its provider's steward, and nobody else: a file in the session's own folder.

It may quote private values, so it is in no ledger, from which nothing can be taken out again.
"""

from __future__ import annotations

from typing import Final

from comity.architectures.definition import Seat

NAME: Final = "room-for-the-steward.txt"


def tell_steward(seat: Seat, text: str) -> None:
    """Add a paragraph to the steward's file."""
    with open(seat.session / NAME, "a", encoding="utf-8") as file:
        file.write(f"{text}\n\n")
