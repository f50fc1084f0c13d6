"""A ledger read like a story: who asked what under which clause, what it cost, what left, what is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from comity.errors import BadInput, VerificationFailed
from comity.ledger.entries import Entry
from comity.ledger.replay import Accounts, Charge, opened
from comity.ledger.state import founded
from comity.ledger.store import Place, Store


@dataclass
class Question:
    """One thing that was asked, and what became of it.

    Attributes:
        plan: its name in the ledger.
        recipient, purpose, clause: who asked what, under which clause.
        asked: when, the last time.
        costs: what was charged for it, in words, by account.
        answers: `released`, `sealed`, `refused` or `withheld`, in order.
    """

    plan: str
    recipient: str
    purpose: str
    clause: str
    asked: str
    costs: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    answers: list[str] = field(default_factory=list[str])

    def words(self) -> str:
        cost = ", ".join(f"{cost} of {account}" for account, cost in self.costs) or "nothing"
        became = ", ".join(_counted(self.answers)) or "nothing left: no answer is recorded"
        return (
            f"{self.recipient} asked for '{self.purpose}' under {_short(self.clause)}: cost {cost}; {became}"
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "plan": self.plan,
            "recipient": self.recipient,
            "purpose": self.purpose,
            "clause": self.clause,
            "asked": self.asked,
            "costs": [{"account": account, "cost": cost} for account, cost in self.costs],
            "answers": list(self.answers),
        }


@dataclass(frozen=True)
class Story:
    """A ledger in words: every entry in its order, and then each question from asking to answer.

    Attributes:
        lines: one per entry.
        questions: in the order in which they were first asked.
        accounts: account by account, what was spent of what.
    """

    lines: list[str]
    questions: list[Question]
    accounts: list[str]

    def words(self) -> list[str]:
        """The whole, line by line."""
        questions = [f"- {question.words()}" for question in self.questions]
        accounts = [f"- {line}" for line in self.accounts]
        return [
            *self.lines,
            *(["", f"Who asked what, and what left ({len(questions)}):", *questions] if questions else []),
            *(["", "What is spent:", *accounts] if accounts else []),
        ]

    def to_dict(self) -> dict[str, Any]:
        return {"questions": [question.to_dict() for question in self.questions], "accounts": self.accounts}


def story(path_or_url: Place) -> list[str]:
    """One line per entry, in order.

    Raises:
        BadInput: if there is no ledger there.
        VerificationFailed: naming the row that cannot be read; `verify_ledger` says more.
    """
    return told(path_or_url).lines


def told(path_or_url: Place) -> Story:
    """The story of a ledger.

    Raises:
        BadInput: if there is no ledger there.
        VerificationFailed: naming the row that cannot be read; `verify_ledger` says more.
    """
    store = Store.open_copy(path_or_url)
    accounts = Accounts()
    lines: list[str] = []
    questions: dict[str, Question] = {}
    try:
        with store.reading() as connection:
            for row in store.rows(connection):
                entry = Entry.read(row)
                try:
                    accounts.apply(entry.kind, entry.body)
                    line = _TELLERS[entry.kind](entry, accounts)
                    _take(questions, entry)
                except BadInput as error:
                    raise VerificationFailed(f"seq {entry.seq}: {error}") from None
                lines.append(f"{entry.seq:>5}  {entry.time[:19].replace('T', ' ')}  {line}")
    finally:
        store.close()
    spent = [
        f"account {account}: {accounts.spent(account).words()}, of {budget.words()}; "
        f"left: {accounts.remaining(account, accounts.terms(account)).words()}"
        for account, budget in accounts.open.items()
    ]
    return Story(lines, list(questions.values()), spent)


def _take(questions: dict[str, Question], entry: Entry) -> None:
    """Add an entry to the question that it is about, if it is about one."""
    body = entry.body
    plan = _text(body, "plan") or _text(body, "request")
    if entry.kind == "asked" and plan:
        known = questions.get(plan)
        if known is None:
            facts = (_text(body, "recipient"), _text(body, "purpose"), _text(body, "clause"))
            questions[plan] = Question(plan, *facts, asked=entry.time)
        else:
            known.asked = entry.time
        return
    question = questions.get(plan)
    if question is None:
        return
    if entry.kind == "charged":
        charge = Charge.from_dict(body)
        cost = "a release without differential privacy" if charge.without_dp else charge.cost.words()
        question.costs.append((str(charge.account), cost))
    elif entry.kind in ("released", "refused", "withheld"):
        sealed = entry.kind == "released" and body.get("sealed") is True
        question.answers.append("sealed" if sealed else entry.kind)


def _counted(answers: list[str]) -> list[str]:
    words = {
        "released": "the answer left",
        "sealed": "a sealed share left",
        "refused": "it was refused",
        "withheld": "the answer was withheld, and stays charged",
    }
    counts = {answer: answers.count(answer) for answer in dict.fromkeys(answers)}
    return [words[answer] + (f" ({count} times)" if count > 1 else "") for answer, count in counts.items()]


def _founded(entry: Entry, accounts: Accounts) -> str:
    owner, key = founded(entry)
    return f"{owner} founded this ledger; it is signed with {key}"


def _opened(entry: Entry, accounts: Accounts) -> str:
    account, budget = opened(entry.body)
    return f"account {account} was opened with {budget.words()}, per {budget.relation}"


def _charged(entry: Entry, accounts: Accounts) -> str:
    charge = Charge.from_dict(entry.body)
    what = "a release without differential privacy" if charge.without_dp else charge.cost.words()
    line = f"charged {what} to {charge.account}{_told(entry.body)}"
    if accounts.budget(charge.account) is None or charge.without_dp:
        return line
    left = accounts.remaining(charge.account, accounts.terms(charge.account))
    return f"{line}; left: {left.words()}"


def _asked(entry: Entry, accounts: Accounts) -> str:
    return f"{_who(entry.body)} asked{_told(entry.body)}"


def _refused(entry: Entry, accounts: Accounts) -> str:
    asked = f" {_text(entry.body, 'party')} what it asked" if "party" in entry.body else ""
    if isinstance(entry.body.get("cost"), dict):
        asked = f" {Charge.from_dict(entry.body).cost.words()}"
    reason = _text(entry.body, "reason") or _text(entry.body, "message")
    return f"refused{asked}{_told(entry.body)}" + (f": {reason}" if reason else "")


def _withheld(entry: Entry, accounts: Accounts) -> str:
    reason = _text(entry.body, "reason")
    return f"withheld{_told(entry.body)}" + (f": {reason}" if reason else "") + "; it stays charged"


def _released(entry: Entry, accounts: Accounts) -> str:
    how = "sent sealed" if entry.body.get("sealed") is True else "released"
    free = ", without differential privacy" if entry.body.get("exact") is True else ""
    return f"{how} to {_who(entry.body)}{_told(entry.body)}{free}"


def _note(entry: Entry, accounts: Accounts) -> str:
    """Notes that parties make for later: most carry their own words, the others are told here."""
    body, text = entry.body, _text(entry.body, "text")
    if "drawn" in body:
        return "took one of the answers that an earlier share has paid for; nothing more is charged"
    if "own_key" in body:
        count = _text(body, "queries") or "some"
        return (
            f"counted {count} of the queries under {_short(_text(body, 'own_key'))} for a share that nobody "
            f"but its sender can open ({_short(_text(body, 'plan'))}); it costs no budget"
        )
    if body.get("note") == "job-approved":
        return (
            f"steward {_text(body, 'steward')} approved the job '{_text(body, 'title')}' "
            f"({_short(_text(body, 'job'))}) with the program {_short(_text(body, 'program'))}: it may run "
            "beside the data"
        )
    if "notice" in body and text:
        return f"let out a {text}{_told(body)}"
    return f"note: {text}" if text else f"a note without words, with: {', '.join(sorted(body)) or 'nothing'}"


_TELLERS: Final[Mapping[str, Callable[[Entry, Accounts], str]]] = {
    "founded": _founded,
    "opened": _opened,
    "charged": _charged,
    "asked": _asked,
    "refused": _refused,
    "withheld": _withheld,
    "released": _released,
    "note": _note,
}


def _told(body: Mapping[str, Any]) -> str:
    """Purpose, clause, and what asked for it, where the entry has them."""
    purpose, clause = _text(body, "purpose"), _text(body, "clause")
    request = _text(body, "request") or _text(body, "plan")
    return (
        (f" for '{purpose}'" if purpose else "")
        + (f" under {_short(clause)}" if clause else "")
        + (f" ({_short(request)})" if request else "")
    )


def _who(body: Mapping[str, Any]) -> str:
    return _text(body, "recipient") or _text(body, "party") or "somebody"


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    return str(value) if isinstance(value, str | int) else ""


def _short(text: str) -> str:
    """Digests cut to 12 digits."""
    return "/".join(f"{part[:12]}..." if len(part) == 64 else part for part in text.split("/"))
