"""Feedback conversations at a provider: what each has registered, and the plan that a question becomes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from comity.errors import BadInput
from comity.ledger import Account, Cost, PrivacyUnit
from comity.node.books import MOST_NAME, Book, Grouping
from comity.node.told import Told, question_digests
from comity.plan import Outcome, Plan
from comity.validate.group_sums import MOST_QUESTIONS, Draws, GroupSum
from comity.validate.mechanism import Price
from comity.wire import Message, Sealer

if TYPE_CHECKING:
    from comity.agreement import Agreement
    from comity.ledger import Ledger

TOPIC: Final = "feedback"
_FRESH_S: Final = 1.0


@dataclass(eq=False)
class Talk:
    """One conversation, as far as it has come."""

    sender: str
    agreement: Agreement
    book: Book
    sealer: Sealer
    lineage: str
    due: int = 0
    digest: str = ""
    groupings: dict[str, Grouping] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.digest = self.agreement.digest


class Left:
    """What is left to ask, for the asker to know; the ledger decides by itself.

    Working it out takes longer than a question. So it is done anew at most once a second; between,
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


@dataclass(frozen=True, eq=False)
class Asked:
    """The questions of one message, on their way through the gate.

    Attributes:
        plan: a batch is one, with the composed cost of what is new in it.
        digests: of each question (`comity.node.told`).
        counts: how many numbers answer each.
        new: the places of those that were not told before, each question once.
    """

    plan: Plan
    digests: tuple[str, ...]
    counts: tuple[int, ...]
    new: tuple[int, ...]

    def told(self, agreement: str, release: int, sums: Sequence[int]) -> Iterator[Told]:
        """What was told for the first time, `release` being its place in the ledger."""
        ends = list(accumulate(self.counts))
        for at in self.new:
            yield Told(
                self.digests[at], agreement, release, tuple(sums[ends[at] - self.counts[at] : ends[at]])
            )


@dataclass(frozen=True, eq=False)
class Questions:
    """What a message of questions asks, read and checked; nothing has been decided.

    Attributes:
        epsilon: of each question by itself.
        digests: of each question.
    """

    questions: tuple[GroupSum, ...]
    groupings: tuple[Grouping, ...]
    epsilon: float
    digests: tuple[str, ...]


def plan_of(
    message: Message,
    talk: Talk,
    asked: Questions,
    before: Mapping[str, Told],
    draws: Draws,
    left: Left,
    *,
    digest: str,
    party: str,
) -> Asked:
    """The plan of one message of questions: what was told before is told again, the rest charged and drawn.

    Args:
        before: what was told to these questions, by their digests.
        draws: shared with the other plans of the round.
        digest: of the message.
        party: the provider.
    """
    book, epsilon = talk.book, asked.epsilon
    pairs = list(zip(asked.questions, asked.groupings, strict=True))
    scales = [question.scale(book.records, len(grouping.sizes), epsilon) for question, grouping in pairs]
    counts = tuple(question.values(len(grouping.sizes)) for question, grouping in pairs)
    first = {digest: at for at, digest in reversed(list(enumerate(asked.digests)))}
    new = tuple(sorted(at for digest, at in first.items() if digest not in before))
    for at in new:
        draws.want(scales[at], counts[at])
    account = Account(party, talk.lineage, PrivacyUnit.label)

    def run() -> Outcome:
        known = {digest: list(told.sums) for digest, told in before.items()}
        labels = book.labels() if new else None
        for at in new:
            question, grouping = pairs[at]
            if labels is not None:
                exact = question.exact(grouping.positives(labels))
                known[asked.digests[at]] = (exact + draws.take(scales[at], counts[at])).tolist()
        told = sorted(set(scales))
        return Outcome(
            {
                "sums": [value for digest in asked.digests for value in known[digest]],
                "scales": told if len(told) == 1 else scales,
                "repeated": [at for at, digest in enumerate(asked.digests) if digest in before],
                "left": left.after(talk, account, epsilon * len(new)),
            }
        )

    plan = Plan(
        architecture="validation",
        purpose=_purpose(len(asked.digests), len(new)),
        recipient=message.sender,
        topic=TOPIC,
        request={"conversation": message.session, "number": message.number, "message": digest},
        asks={
            "mode": "linked",
            "minimum_group": min(grouping.smallest for grouping in asked.groupings),
        },
        account=account,
        cost=_cost(epsilon, len(new)) if new else None,
        run=run,
        queries=max(1, len(new)),
        repeats=tuple(sorted({told.release for told in before.values()})),
    )
    return Asked(plan, asked.digests, counts, new)


def _purpose(questions: int, new: int) -> str:
    again = "" if new == questions else f", {questions - new} of them as told before"
    return f"feedback: {questions} noisy sums of labels over groups of records{again}"


@lru_cache(maxsize=1024)
def _cost(epsilon: float, questions: int) -> Cost:
    """Of so many questions together; asking at a few prices is what people do."""
    return Price(epsilon, 0.0).cost.times(questions)


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


def read_questions(message: Message, talk: Talk) -> Questions:
    """What a message of questions asks.

    Raises:
        BadInput: if its questions are none of this conversation, or its epsilon is none.
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
    questions = tuple(GroupSum.from_list(each, groups) for each in listed)
    groupings = tuple(talk.groupings[question.grouping] for question in questions)
    digests = question_digests(
        list(zip(questions, groupings, strict=True)),
        book=talk.book.name,
        recipient=message.sender,
        epsilon=float(epsilon),
    )
    return Questions(questions, groupings, float(epsilon), tuple(digests))
