"""What can keep a node from working, tested one by one, each with what to do about it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from comity import __version__
from comity.errors import ComityError, PartyFailed
from comity.node.card import Card
from comity.node.folder import PartyFolder
from comity.node.orders import call

_LEAST_DISK = 2 * 1024**3
_MOST_SKEW = timedelta(seconds=60)
_SOON = timedelta(days=30)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what, how it is, whether it is fine, and what to do if not."""

    what: str
    found: str
    fine: bool
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {"what": self.what, "found": self.found, "fine": self.fine, "remedy": self.remedy}


def examine(folder: PartyFolder) -> list[Finding]:
    """Everything about this party's node that can be tested from here; nothing is changed."""
    findings = [
        _tried("key", lambda: f"{folder.key.verify_key}", "give the key's passphrase, or restore key.pem"),
        _certificate("certificate", folder.card),
        _disk(folder),
        *_agreements(folder),
        _node("own node", folder, folder.card),
    ]
    peers: dict[str, Card] = {}
    try:
        peers = folder.peers()
        found = ", ".join(peers) or "none"
        findings.append(
            Finding("cards of peers", found, bool(peers), "get the others' cards: comity party add CARD")
        )
    except ComityError as error:
        findings.append(Finding("cards of peers", str(error), False, "get that party's card anew"))
    for name, card in peers.items():
        findings.append(_certificate(f"certificate of '{name}'", lambda card=card: card))
        findings.append(_node(f"node of '{name}'", folder, lambda card=card: card))
    return findings


def _tried(what: str, look: Callable[[], str], remedy: str) -> Finding:
    try:
        return Finding(what, look(), True)
    except ComityError as error:
        return Finding(what, str(error), False, remedy)


def _certificate(what: str, card: Callable[[], Card]) -> Finding:
    renew = "renew it with comity party card --renew, and give the new card to the others"
    try:
        given = card()
        given.verify()
        last = given.valid[1]
    except ComityError as error:
        return Finding(what, str(error), False, renew)
    return Finding(what, f"valid until {last:%Y-%m-%d}", last - datetime.now(UTC) > _SOON, renew)


def _disk(folder: PartyFolder) -> Finding:
    free = shutil.disk_usage(folder.path).free
    return Finding(
        "disk",
        f"{free / 1024**3:.1f} GiB free",
        free >= _LEAST_DISK,
        f"free some space: a node wants {_LEAST_DISK // 1024**3} GiB for messages and its ledger",
    )


def _agreements(folder: PartyFolder) -> Iterator[Finding]:
    today = datetime.now(UTC).date()
    try:
        agreements = folder.agreements()
    except ComityError as error:
        yield Finding("agreements", str(error), False, "restore the file from another party's copy")
        return
    if not agreements:
        yield Finding("agreements", "none", False, "sign one: comity agree sign FILE --folder DIR")
    for digest, agreement in agreements.items():
        standing = folder.standing(agreement, today)
        yield Finding(
            f"agreement {digest[:12]}",
            standing.words,
            standing.in_force,
            standing.would_pass or "sign a new one, or leave it: it only keeps its own sessions from running",
        )


def _node(what: str, folder: PartyFolder, card: Callable[[], Card]) -> Finding:
    """Whether it answers under the right certificate, with this version, and with a clock like this one."""
    asked = datetime.now(UTC)
    try:
        answer = call(folder, card(), "GET", "/status")
        if answer.status != 200:
            raise PartyFailed(f"it answered with status {answer.status}")
        theirs = datetime.fromisoformat(str(answer.body["time"]))
        version = str(answer.body["version"])
    except (ComityError, KeyError, ValueError) as error:
        return Finding(
            what,
            str(error),
            False,
            "start it, open its port in firewalls, and see that it has this party's present card",
        )
    skew = abs(theirs - asked)
    if skew > _MOST_SKEW:
        return Finding(
            what, f"its clock differs by {skew.total_seconds():.0f} s", False, "set both clocks (NTP)"
        )
    return Finding(
        what,
        f"answers, version {version}",
        version == __version__,
        f"this one is {__version__}: bring both to one version",
    )
