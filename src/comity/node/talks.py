"""Feedback conversations at a provider: what each has registered, and the plan that a question becomes."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from comity.errors import BadInput
from comity.ledger import Account, PrivacyUnit
from comity.node.books import MOST_NAME, Book, Grouping
from comity.plan import Outcome, Plan
from comity.validate.group_sums import MOST_QUESTIONS, Draws, GroupSum
from comity.validate.mechanism import Price
from comity.wire import Message, Sealer

if TYPE_CHECKING:
    from comity.agreement import Agreement
    from comity.ledger import Ledger

TOPIC: Final = "feedback"
_FRESH_S: Final = 0.2


@dataclass(eq=False)
class Talk:
    """One conversation, as far as it has come."""

    sender: str
    agreement: Agreement
    book: Book
    sealer: Sealer
    due: int = 0
    digest: str = ""
    groupings: dict[str, Grouping] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.digest = self.agreement.digest


class Left:
    """What is left to ask, for the asker to know; the ledger decides by itself.

    Working it out takes longer than a question. So it is done anew at most every fifth of a second; between,
    what was charged since is taken off epsilon, which never tells too much: two pure costs together never
    cost more than one of their sum. Delta and Gaussian noise are told as they were.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[tuple[str, Account], tuple[float, dict[str, Any]]] = {}

    def after(self, talk: Talk, account: Account, epsilon: float) -> dict[str, Any]:
        """What one more question may cost after one of this epsilon, and how many queries are left."""
        at, told = self._known.get((talk.digest, account), (-math.inf, {}))
        if time.monotonic() - at > _FRESH_S:
            at, told = time.monotonic(), self._look(talk, account)
        else:
            told = {**told, "epsilon": max(0.0, told["epsilon"] - epsilon)}
        self._known[talk.digest, account] = at, told
        return {**told, "queries": self._queries(talk, account)}

    def _look(self, talk: Talk, account: Account) -> dict[str, Any]:
        clause: Any = talk.agreement.clause("validation")
        named = f"{talk.digest}/architectures.validation"
        rest = self._ledger.remaining(account, clause=named, limit=clause.spending_limit)
        gaussian = rest.gaussian if rest.gaussian < math.inf else None
        return {"epsilon": rest.epsilon, "delta": rest.delta, "gaussian": gaussian}

    def _queries(self, talk: Talk, account: Account) -> int | None:
        allowed = getattr(talk.agreement.clause("validation"), "queries", None)
        if allowed is None:
            return None
        return max(0, allowed - self._ledger.queries(account, f"{talk.digest}/architectures.validation"))


def plan_of(message: Message, talk: Talk, digest: str, draws: Draws, left: Left, *, party: str) -> Plan:
    """The plan of one message of questions: a batch is one, with their composed cost.

    Args:
        digest: of the message.
        draws: shared with the other plans of the round.
        party: the provider.

    Raises:
        BadInput: if the questions are none of this conversation.
    """
    questions, epsilon = read_questions(message, talk)
    cost = Price(epsilon, 0.0).cost.times(len(questions))
    book, groupings = talk.book, [talk.groupings[question.grouping] for question in questions]
    scales = [
        question.scale(book.records, len(grouping.sizes), epsilon)
        for question, grouping in zip(questions, groupings, strict=True)
    ]
    counts = [q.values(len(g.sizes)) for q, g in zip(questions, groupings, strict=True)]
    for scale, count in zip(scales, counts, strict=True):
        draws.want(scale, count)
    account = Account(party, talk.agreement.data_of(party).lineage, PrivacyUnit.label)

    def run() -> Outcome:
        labels = book.labels()
        sums: list[int] = []
        for question, grouping, scale, count in zip(questions, groupings, scales, counts, strict=True):
            exact = question.exact(grouping.positives(labels))
            sums += (exact + draws.take(scale, count)).tolist()
        told = sorted(set(scales))
        return Outcome(
            {
                "sums": sums,
                "scales": told if len(told) == 1 else scales,
                "left": left.after(talk, account, epsilon * len(questions)),
            }
        )

    return Plan(
        architecture="validation",
        purpose=f"feedback: {len(questions)} noisy sums of labels over groups of records",
        recipient=message.sender,
        topic=TOPIC,
        request={"conversation": message.session, "number": message.number, "message": digest},
        asks={
            "mode": "linked",
            "minimum_group": min(int(grouping.sizes.min()) for grouping in groupings),
        },
        account=account,
        cost=cost,
        run=run,
        queries=len(questions),
    )


def read_grouping(message: Message, book: Book) -> tuple[str, Grouping]:
    """Name and grouping of a message.

    Raises:
        BadInput: if it holds none of this frame.
    """
    body: Mapping[str, Any] = message.body
    if set(body) != {"name"} or set(message.parts) != {"codes"} or not isinstance(body["name"], str):
        raise BadInput("a grouping has a name, and codes as its only part")
    name = body["name"]
    if not name or len(name) > MOST_NAME or not name.isprintable():
        raise BadInput(f"the name of a grouping has 1 to {MOST_NAME} printable characters")
    return name, book.read_grouping(message.parts["codes"])


def read_questions(message: Message, talk: Talk) -> tuple[list[GroupSum], float]:
    """Questions of a message, and the epsilon of each.

    Raises:
        BadInput: if they are none of this conversation.
    """
    body = message.body
    listed, epsilon = body.get("questions"), body.get("epsilon")
    if set(body) != {"questions", "epsilon"} or message.parts or not isinstance(listed, list):
        raise BadInput("a question has questions and epsilon, and no parts")
    if not 1 <= len(listed) <= MOST_QUESTIONS:
        raise BadInput(f"one message asks 1 to {MOST_QUESTIONS} questions")
    if not isinstance(epsilon, int | float) or isinstance(epsilon, bool) or not 1e-6 <= epsilon <= 16:
        raise BadInput("the epsilon of a question lies between 1e-6 and 16")
    groups = {name: len(grouping.sizes) for name, grouping in talk.groupings.items()}
    return [GroupSum.from_list(each, groups) for each in listed], float(epsilon)
