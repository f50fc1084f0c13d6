"""What an ML party keeps of a live conversation: every message as it was sent and answered, for an audit.

One line for each in `sessions/<conversation>/messages.jsonl`, beside the agreement; a withdrawal deletes it
with the files of other sessions.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from comity.agreement import Agreement
from comity.errors import BadInput
from comity.node.folder import PartyFolder

NAME: Final = "messages.jsonl"


class Transcript:
    """Writes one conversation down. Not for use by several threads at once."""

    def __init__(self, folder: PartyFolder, agreement: Agreement, provider: str, conversation: str) -> None:
        self._place = folder.sessions_path / conversation
        self._agreement, self._provider = agreement, provider
        self._begun = False

    def keep(self, sent: bytes, answer: bytes) -> None:
        """Add a message and its answer; empty where it was taken without a word.

        Raises:
            BadInput: if it cannot be written.
        """
        try:
            if not self._begun:
                self._place.mkdir(parents=True, exist_ok=True, mode=0o700)
                (self._place / "agreement.yaml").write_text(self._agreement.to_yaml(), encoding="utf-8")
                self._begun = True
            line = json.dumps({"to": self._provider, "sent": _text(sent), "answer": _text(answer)}) + "\n"
            handle = os.open(self._place / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(line)
        except OSError as error:
            raise BadInput(
                f"the conversation cannot be kept in {self._place}: {error.strerror}; without it no audit "
                "can be asked for"
            ) from None


def read_transcript(session: Path, provider: str) -> Iterator[tuple[bytes, bytes]]:
    """Messages and answers of a conversation with a provider, in their order; none where it is none.

    A last line that a crash cut off is left out.

    Raises:
        BadInput: if a line before it holds something else.
    """
    path = session / NAME
    if not path.is_file():
        return
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                document = json.loads(line)
                if document["to"] == provider:
                    yield _bytes(document["sent"]), _bytes(document["answer"])
            except (ValueError, KeyError, TypeError):
                raise BadInput(f"{path} holds a line that is no message of a conversation") from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
