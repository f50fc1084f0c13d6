"""What can keep a node from working, tested one by one, each with what to do about it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from comity import __version__
from comity.crypto.tls import certificate_dates
from comity.errors import ComityError, PartyFailed
from comity.node.card import Card
from comity.node.enclave.check import ANCHOR_FILE, read_anchor
from comity.node.folder import PartyFolder
from comity.node.orders import call

if TYPE_CHECKING:
    from comity.agreement import Agreement

_LEAST_DISK = 2 * 1024**3
_MOST_SKEW = timedelta(seconds=60)
_SOON = timedelta(days=30)
_ROUNDED = timedelta(seconds=1)  # a node tells whole seconds


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
    key = _tried("key", lambda: f"{folder.key.verify_key}", "give its passphrase, or restore key.pem")
    findings = [
        key,
        _certificate("certificate", lambda: certificate_dates(folder.certificate)[1], _RENEW),
        _disk(folder),
        *_agreements(folder),
    ]
    if key.fine:
        findings.append(_node("own node", folder, folder.card, "start it: comity node start"))
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
        findings.append(
            _certificate(f"certificate of '{name}'", lambda card=card: _last_day(card), _ask_for_card(name))
        )
        if key.fine:
            findings.append(_node(f"node of '{name}'", folder, lambda card=card: card, _ASK_TO_START))
    return findings


_RENEW = "renew it with comity party card --renew, and give the new card to the others"
_ASK_TO_START = (
    "ask that party whether it runs, and whether it has this party's present card; open its port in firewalls"
)


def _ask_for_card(name: str) -> str:
    return f"ask '{name}' for a new card, then: comity party add CARD"


def _last_day(card: Card) -> datetime:
    card.verify()
    return card.valid[1]


def _tried(what: str, look: Callable[[], str], remedy: str) -> Finding:
    try:
        return Finding(what, look(), True)
    except ComityError as error:
        return Finding(what, str(error), False, remedy)


def _certificate(what: str, last_day: Callable[[], datetime], remedy: str) -> Finding:
    try:
        last = last_day()
    except ComityError as error:
        return Finding(what, str(error), False, remedy)
    left = last - datetime.now(UTC)
    if left < timedelta(0):
        return Finding(what, f"expired on {last:%Y-%m-%d}", False, remedy)
    return Finding(what, f"valid until {last:%Y-%m-%d}, {left.days} days", left > _SOON, remedy)


def _disk(folder: PartyFolder) -> Finding:
    free = shutil.disk_usage(folder.path).free
    return Finding(
        "disk",
        f"{free / 1024**3:.1f} GiB free",
        free >= _LEAST_DISK,
        f"free some space: a node wants {_LEAST_DISK // 1024**3} GiB for messages and its ledger",
    )


def _agreements(folder: PartyFolder) -> Iterator[Finding]:
    """Those in force with what they need; past ones are no fault, unless there are no others."""
    today = datetime.now(UTC).date()
    try:
        standings = {
            digest: (agreement, folder.standing(agreement, today))
            for digest, agreement in folder.agreements().items()
        }
    except ComityError as error:
        yield Finding("agreements", str(error), False, "restore the file from another party's copy")
        return
    present = [agreement for agreement, standing in standings.values() if standing.in_force]
    if not present:
        yield Finding(
            "agreements",
            f"none is in force, of {len(standings)}" if standings else "none",
            False,
            "sign one: comity agree sign FILE --folder DIR",
        )
    for digest, (_, standing) in standings.items():
        yield Finding(f"agreement {digest[:12]}", standing.words, True)
    yield from _needs(folder, present)
    yield from _architectures(folder, present)


def _needs(folder: PartyFolder, agreements: list[Agreement]) -> Iterator[Finding]:
    """What agreements in force want of this party before a session can run."""
    roles = {
        party.role for agreement in agreements for party in agreement.parties if party.name == folder.name
    }
    if "provider" in roles:
        there = (folder.tables_path / "train.parquet").is_file()
        yield Finding(
            "table",
            "there" if there else "there is none",
            there,
            "load one: comity node load PATH --schema FILE --folder DIR",
        )
    demanded = {
        party.name
        for agreement in agreements
        for party in agreement.parties
        if party.attested is not None and party.name != folder.name
    }
    for name in sorted(demanded):
        yield _tried(
            f"root for '{name}'",
            lambda: _anchored(folder),
            "get the root certificate from the processor's maker and name it there",
        )


def _architectures(folder: PartyFolder, agreements: list[Agreement]) -> Iterator[Finding]:
    """Whether this party's part of each architecture that is agreed can run on this machine."""
    from comity.node.runnable import lacks, own_part

    found: dict[str, dict[str, str]] = {}
    for agreement in agreements:
        for name in own_part(agreement, folder.name) if _names(agreement, folder.name) else ():
            reasons = found.setdefault(name, {})
            reasons.update({lack.why: lack.remedy for lack in lacks(folder, agreement, name)})
    for name, reasons in found.items():
        what = f"architecture '{name}'"
        if not reasons:
            yield Finding(what, "can run here", True)
        for why, remedy in reasons.items():
            yield Finding(what, why, False, remedy)


def _names(agreement: Agreement, party: str) -> bool:
    return any(each.name == party for each in agreement.parties)


def _anchored(folder: PartyFolder) -> str:
    read_anchor(folder)
    return f"{ANCHOR_FILE} names one that can be read"


def _node(what: str, folder: PartyFolder, card: Callable[[], Card], remedy: str) -> Finding:
    """Whether it answers under the right certificate, with this version, and with a clock like this one."""
    asked = datetime.now(UTC)
    try:
        answer = call(folder, card(), "GET", "/status")
        if answer.status != 200:
            raise PartyFailed(f"it answered with status {answer.status}")
        theirs = datetime.fromisoformat(str(answer.body["time"]))
        version = str(answer.body["version"])
        # its clock was read somewhere between question and answer
        skew = theirs - min(max(theirs, asked - _ROUNDED), datetime.now(UTC))
    except (ComityError, KeyError, TypeError, ValueError) as error:
        found = str(error) if isinstance(error, ComityError) else "it answered with something else"
        return Finding(what, found, False, remedy)
    if abs(skew) > _MOST_SKEW:
        which = "ahead" if skew > timedelta(0) else "behind"
        return Finding(
            what, f"its clock is {abs(skew).total_seconds():.0f} s {which}", False, "set both clocks (NTP)"
        )
    return Finding(
        what,
        f"answers, version {version}",
        version == __version__,
        f"this one is {__version__}: bring both to one version",
    )
