"""The feedback conversations that are live at a node: opened by a message, taken up again after a restart.

What the monitor has admitted stays admitted: of the same records whoever asks, under whichever task or
agreement. The desk's thread uses this; `end` may come from any.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from comity.errors import BadInput, ClauseRefused, ComityError, VerificationFailed
from comity.node.books import Book, book_key, task_of
from comity.node.committed import bind_table
from comity.node.conversations import Answered, Conversations
from comity.node.talks import Talk, read_grouping
from comity.validate.monitor import Monitor
from comity.wire import Message, Sealer, open_message

if TYPE_CHECKING:
    from comity.agreement import Agreement
    from comity.node.service import Node

_log = logging.getLogger("comity.node")


class LiveTalks:
    """A node's live conversations, by the name of their session, and the books that they read."""

    def __init__(self, node: Node, kept: Conversations) -> None:
        """
        Args:
            kept: what was answered before; conversations that are in it go on.
        """
        self._node = node
        self._kept = kept
        self._books: dict[str, Book] = {}
        self._monitors: dict[str, Monitor] = {}
        self._talks: dict[str, Talk] = {}
        for row in kept.registered():
            try:
                self._replay(row)
            except ComityError as error:
                _log.warning("a conversation of %s cannot go on: %s", row.sender, error.code)

    def __len__(self) -> int:
        return len(self._talks)

    @property
    def books(self) -> tuple[Book, ...]:
        """The tables that conversations are about."""
        return tuple(self._books.values())

    def read(self, data: bytes) -> Message:
        """A message as it came in.

        Raises:
            VerificationFailed, BadInput: if it is not signed by a known party for this one, or malformed.
        """
        return open_message(data, keys=self._node.peer_keys(), recipient=self._node.name)

    def of(self, message: Message) -> Talk | None:
        """The conversation that a message belongs to, as it is stored; None if it opens one.

        Raises:
            VerificationFailed: if the message names another agreement or sender.
            BadInput: if the conversation cannot go on here.
        """
        talk = self._talks.get(message.session)
        if talk is None:
            talk = self._restored(message.session)
        if talk is not None and (talk.sender, talk.digest) != (message.sender, message.agreement):
            raise VerificationFailed("the message names another agreement or sender than its conversation")
        return talk

    def opened(self, message: Message, agreement: Agreement) -> Talk:
        """A new conversation; it is live once its first message is answered (`keep`).

        Raises:
            BadInput: if the message opens none, or means other records.
            ClauseRefused: if the agreement does not allow it.
        """
        body = message.body
        if message.topic != "open" or set(body) != {"task", "frame"} or not isinstance(body["task"], dict):
            raise BadInput("a conversation begins with 'open', which names a task and a frame")
        clause: Any = agreement.clause("validation")
        if str(getattr(clause, "mode", "")) != "linked":
            raise ClauseRefused(
                "feedback conversations are linked validation",
                clause="architectures.validation.mode",
                would_pass="linked",
            )
        task = task_of(body["task"], agreement, self._node.name)
        bind_table(self._node.folder, agreement, self._node.ledger)
        key = book_key(agreement, task.to_dict())
        if key not in self._books or self._books[key].is_old:
            table = self._node.folder.tables_path / "train.parquet"
            book = self._books[key] = Book(table, task, clause.minimum_group, key)
            # whatever is asked of these records, under whichever task or agreement, adds up
            book.monitor = self._monitors.setdefault(book.frame, book.monitor)
        book = self._books[key]
        if body["frame"] != book.frame:
            raise BadInput(
                f"'{message.sender}' asks about other records than those both ends know: "
                "agree on the ids of the frame first"
            )
        lineage = agreement.data_of(self._node.name).lineage
        return Talk(message.sender, agreement, book, self._sealer(message.session, agreement), lineage)

    def keep(self, session: str, talk: Talk) -> None:
        """A conversation as far as it has come, its last answer being stored."""
        self._talks[session] = talk

    def drop(self, session: str) -> None:
        """Forget how far a conversation has come here: what is stored counts."""
        self._talks.pop(session, None)

    def end(self, agreement: str) -> None:
        """Let go of the conversations under an agreement that has ended."""
        for session, talk in list(self._talks.items()):
            if talk.digest == agreement:
                self.drop(session)

    def _replay(self, row: Answered) -> None:
        """Take up one registered message of a conversation that was opened before this process."""
        message = self.read(row.request or b"")
        if message.topic == "open":
            talk = self.opened(message, self._node.agreement_of(message))
            self._brought_up(row.session, talk)
            return
        talk = self._talks.get(row.session)
        if talk is None:
            raise BadInput("the conversation was not opened")
        name, grouping = read_grouping(message, talk.book)
        talk.book.monitor.replay([grouping.codes])
        talk.groupings[name] = grouping

    def _restored(self, session: str) -> Talk | None:
        """A conversation again as it is stored, after a round of it failed."""
        if not self._kept.due(session):
            return None
        talk: Talk | None = None
        for row in self._kept.registered():
            if row.session != session:
                continue
            message = self.read(row.request or b"")
            if message.topic == "open":
                talk = self.opened(message, self._node.agreement_of(message))
            elif talk is not None:
                name, grouping = read_grouping(message, talk.book)
                talk.groupings[name] = grouping
        if talk is None:
            raise BadInput("this conversation cannot go on here: open a new one")
        return self._brought_up(session, talk)

    def _brought_up(self, session: str, talk: Talk) -> Talk:
        talk.due = self._kept.due(session)
        talk.sealer.set_back(talk.sender, talk.due)
        self._talks[session] = talk
        return talk

    def _sealer(self, session: str, agreement: Agreement) -> Sealer:
        return Sealer(
            session=session,
            agreement=agreement.digest,
            party=self._node.name,
            key=self._node.key,
            may_query=False,
        )
