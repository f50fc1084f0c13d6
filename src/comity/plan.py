"""Plan, Release, Share, Receipt: a purpose with its price and a function still to run, and what comes of it.

Techniques make plans; they cannot publish. `comity.gate` takes a plan through the agreement and the
ledger and is the only module that makes a `Release`, a `Share`, a `Notice` or a `Refusal` (a test holds it
to that).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Self

from comity.crypto.canonical import canonical_bytes, digest
from comity.crypto.keys import VerifyKey
from comity.errors import BadInput, ComityError, VerificationFailed
from comity.ledger.accounts import Account
from comity.ledger.costs import Cost
from comity.ledger.entries import Entry
from comity.ledger.openings import Opening, opening_of
from comity.wire import Issued, Kind

_OPENED: Final = ("leaf", "path", "salt", "event")


def _nothing() -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Outcome:
    """What running a plan yields: a JSON body and named binary parts. It is still inside the party."""

    body: Mapping[str, Any]
    parts: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical body and every part's digest."""
        parts = {name: hashlib.sha256(data).hexdigest() for name, data in self.parts.items()}
        return digest({"body": dict(self.body), "parts": parts})


@dataclass(frozen=True)
class Verdict:
    """What a check says of an outcome without differential privacy. Both fields are the steward's only."""

    passed: bool
    reason: str
    figures: Mapping[str, Any] = field(default_factory=_nothing)


@dataclass(frozen=True)
class Plan:
    """A purpose, its cost, and a function still to run.

    Attributes:
        architecture: the architecture whose clause must allow it.
        purpose: one line for people, from public facts.
        recipient: the party that would get the outcome.
        topic: the message's topic.
        request: public facts that identify what is asked; their digest is the plan's name in the ledger.
        asks: what it asks of its clause, e.g. `{"k": 5, "suppression": 0.05}` or `{"minimum_group": 10}`.
        account: whose budget it is charged to.
        cost: its price, which states unit and neighbouring relation; None for a release without
            differential privacy, which then needs a `check`.
        run: reads the private data; called once, after the charge is durable.
        check: for releases without differential privacy only: examines the outcome at the provider.
            A differentially private release is never conditioned on a look at private rows.
        sealed: whether the outcome leaves as a share (padded, masked, encrypted, split).
        own_key: whether it is sealed under a key that its sender alone has, so that nobody it goes to can
            open it; such a share has no cost and no check.
        opens: for a share, how many later answers its cost pays for; or, where it has a check and no cost,
            how many answers without differential privacy belong to this one release.
        also: other accounts that are charged the same: what is made of several providers' data costs each.
        held: what who asked is told if the check holds the outcome back: what is checked, and what could be
            asked instead, from public facts.
        draws_on: for an answer that such a share has paid for, the share's plan name; it then has no cost of
            its own, and a check only where the share had none.
        queries: how many of its clause's queries it counts as: a batch asks several at once.
        repeats: places in the ledger of releases to the same recipient whose answers it tells again. If that
            is all it tells, it has no cost; otherwise its cost is that of what is new.
    """

    architecture: str
    purpose: str
    recipient: str
    topic: str
    request: Mapping[str, Any]
    asks: Mapping[str, Any]
    account: Account
    cost: Cost | None
    run: Callable[[], Outcome]
    check: Callable[[Outcome], Verdict] | None = None
    sealed: bool = False
    own_key: bool = False
    opens: int = 0
    also: tuple[Account, ...] = ()
    draws_on: str | None = None
    queries: int = 1
    repeats: tuple[int, ...] = ()
    held: str = ""

    def __post_init__(self) -> None:
        canonical_bytes(dict(self.request))
        if self.draws_on is not None and (self.cost is not None or self.opens):
            raise ComityError(f"the plan '{self.purpose}' draws on a share: it has no cost of its own")
        if self.opens and ((self.cost is None and self.check is None) or not self.sealed):
            raise ComityError(
                f"the plan '{self.purpose}' pays for later answers: it has to be a charged or checked share"
            )
        if self.own_key and (not self.sealed or self.cost or self.check or self.draws_on or self.opens):
            raise ComityError(
                f"the plan '{self.purpose}' is under its sender's own key: a share without cost or check"
            )
        unpriced = self.cost is None and self.check is None
        if unpriced and self.draws_on is None and not self.repeats and not self.own_key:
            raise ComityError(
                f"the plan '{self.purpose}' has neither a cost nor a check: one of them is needed"
            )
        if self.cost is not None and not any(self.cost.curve) and not self.cost.delta:
            raise ComityError(
                f"the plan '{self.purpose}' states a cost of nothing, or of a release without differential "
                "privacy: the latter has no cost but a check"
            )
        if self.cost is not None and self.check is not None:
            raise ComityError(
                f"the plan '{self.purpose}' is differentially private: a check that reads its data would leak"
            )

    @property
    def accounts(self) -> tuple[Account, ...]:
        """Every account that it is charged to."""
        return (self.account, *self.also)

    @cached_property
    def name(self) -> str:
        """Digest of what is asked, the same for the same question."""
        return digest(
            {"architecture": self.architecture, "recipient": self.recipient, "request": dict(self.request)}
        )


@dataclass(frozen=True)
class Receipt:
    """What the recipient may know and keep about a release: nothing here depends on private values.

    Attributes:
        agreement, clause: what allowed it.
        plan, outcome: digests of what was asked and of what left.
        cost: what was charged, or None.
        sequence: the release's place in the sender's ledger.
        checkpoint: that ledger's signed head after the release, so that a later rewrite shows.
        entry: the release's own entry (`salt`, `event`) with its leaf hash and the path to the checkpoint's
            root: the recipient can tell that the ledger holds this release and says the same of it.
    """

    agreement: str
    clause: str
    plan: str
    outcome: str
    cost: Mapping[str, Any] | None
    sequence: int
    checkpoint: Mapping[str, Any]
    entry: Mapping[str, Any] = field(default_factory=_nothing)

    @classmethod
    def of(
        cls, entry: Entry, *, agreement: str, clause: str, plan: str, cost: Mapping[str, Any] | None
    ) -> Self:
        """The receipt of a release whose entry was just appended."""
        opening = opening_of(entry).to_dict()
        return cls(
            agreement=agreement,
            clause=clause,
            plan=plan,
            outcome=str(entry.body["outcome"]),
            cost=cost,
            sequence=entry.seq,
            checkpoint=opening["checkpoint"],
            entry={name: opening[name] for name in _OPENED},
        )

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read the JSON form; `verify` checks it.

        Raises:
            BadInput: if it is no receipt.
        """
        names = ("agreement", "clause", "plan", "outcome", "cost", "sequence", "checkpoint", "entry")
        if set(document) != set(names):
            raise BadInput(f"a receipt has {', '.join(names)}; this has {', '.join(sorted(document))[:200]}")
        values = {name: document[name] for name in names}
        texts = all(isinstance(values[name], str) for name in names[:4])
        if not texts or type(values["sequence"]) is not int or not isinstance(values["entry"], Mapping):
            raise BadInput("a receipt's names are text, its sequence is a whole number")
        return cls(**values)

    def opening(self) -> Opening:
        """The release's own entry with its proof.

        Raises:
            BadInput: if the receipt does not hold one.
        """
        return Opening.from_dict({**self.entry, "seq": self.sequence, "checkpoint": self.checkpoint})

    def verify(self, key: VerifyKey, *, recipient: str) -> Entry:
        """Check that the sender's ledger holds this release, and says of it what the receipt says.

        Args:
            key: the sender's, from the agreement.
            recipient: the party that the receipt was sent to.

        Returns:
            The ledger's entry of the release.

        Raises:
            VerificationFailed: if a signature, the proof or a fact does not fit.
        """
        try:
            entry = self.opening().verify(key)
        except BadInput as error:
            raise VerificationFailed(f"the receipt holds no proof: {error}") from None
        told = {"plan": self.plan, "clause": self.clause, "outcome": self.outcome, "recipient": recipient}
        wrong = [name for name, value in told.items() if entry.body.get(name) != value]
        if entry.kind != "released" or wrong:
            raise VerificationFailed(
                f"seq {entry.seq} of the sender's ledger is not this release: "
                f"{', '.join(wrong) or 'it'} differs from the receipt"
            )
        return entry

    def to_dict(self) -> dict[str, Any]:
        return {
            "agreement": self.agreement,
            "clause": self.clause,
            "plan": self.plan,
            "outcome": self.outcome,
            "cost": None if self.cost is None else dict(self.cost),
            "sequence": self.sequence,
            "checkpoint": dict(self.checkpoint),
            "entry": dict(self.entry),
        }


@dataclass(frozen=True)
class Release(Issued):
    """What has left readable, with its receipt."""

    topic: str
    body: Mapping[str, Any]
    parts: Mapping[str, bytes]
    receipt: Receipt

    @property
    def kind(self) -> Kind:
        return Kind.release


@dataclass(frozen=True)
class Share(Issued):
    """What has left sealed; charged for what it can open to."""

    topic: str
    body: Mapping[str, Any]
    parts: Mapping[str, bytes]
    receipt: Receipt

    @property
    def kind(self) -> Kind:
        return Kind.share


@dataclass(frozen=True)
class Notice(Issued):
    """What a protocol needs and no private byte has gone into: keys, sealed shares of keys, signatures."""

    topic: str
    body: Mapping[str, Any]
    parts: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    @property
    def kind(self) -> Kind:
        return Kind.notice


@dataclass(frozen=True)
class Refusal(Issued):
    """A no that leaves: its code, clause and words depend on public facts only."""

    topic: str
    body: Mapping[str, Any]
    parts: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    @property
    def kind(self) -> Kind:
        return Kind.refusal
