"""Whether this machine can run this party's part of what is agreed: extras, sandbox, the engine's port."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from comity import sandbox
from comity.errors import BadInput, ComityError, MissingExtra
from comity.node.folder import PartyFolder

if TYPE_CHECKING:
    from comity.agreement import Agreement

_INSTALL: Final = (
    "install it on this machine, in the environment that runs the node, and start the node again"
)
_SCORER: Final = ("onnx", "onnxruntime")
_CONVERTER: Final = ("onnx", "skl2onnx")


@dataclass(frozen=True)
class Lack:
    """What keeps this machine from running its part, and what to do."""

    why: str
    remedy: str


def own_part(agreement: Agreement, party: str) -> list[str]:
    """The architectures of an agreement in which this party has a program to run."""
    from comity.architectures import find, names

    role = agreement.party(party).role
    allowed = [clause.architecture for clause in agreement.architectures if clause.architecture in names()]
    return [name for name in allowed if role in find(name).programs]


def lacks(folder: PartyFolder, agreement: Agreement, architecture: str) -> list[Lack]:
    """Why this party's part of an architecture cannot run here; empty if it can."""
    clause: Any = agreement.clause(architecture)
    role, mode = agreement.party(folder.name).role, str(getattr(clause, "mode", ""))
    match architecture, role:
        case "encrypted", _:
            found = _engine(folder, agreement, clause.compute)
        case "validation", "provider" if mode == "hosted":
            found = [*_modules("hosted validation", "hosted", _SCORER), *_sandboxed()]
        case "validation", "ml_party" if mode == "hosted":
            found = _modules("converting a model for hosted validation", "hosted", _CONVERTER)
        case "blind-validation", _ if mode == "encrypted":
            found = _modules("encrypted groupings", "homomorphic", ("tenseal",))
        case "clean-room", "provider":
            found = _sandboxed()
        case _:
            found = _modules_of(architecture)
    return list(found)


def _modules_of(architecture: str) -> Iterator[Lack]:
    """Of an architecture whose programs all need its engine, if it has one."""
    from comity.architectures import find

    reason = find(architecture).unavailable()
    if reason is not None:
        yield Lack(reason, _INSTALL)


def _modules(feature: str, extra: str, modules: tuple[str, ...]) -> Iterator[Lack]:
    if any(find_spec(module) is None for module in modules):
        yield Lack(str(MissingExtra(feature, extra)), _INSTALL)


def _sandboxed() -> Iterator[Lack]:
    reason = sandbox.missing()
    if reason is not None:
        yield Lack(f"a program runs beside the data in a sandbox only, and that needs {reason}", _INSTALL)


def _engine(folder: PartyFolder, agreement: Agreement, compute: tuple[str, ...]) -> Iterator[Lack]:
    """Of a compute party: SPU, and a port that the other ones reach. Others need neither."""
    if folder.name not in compute:
        return
    yield from _modules_of("encrypted")
    from comity.train.encrypted.mesh import ENGINE, agreed_ports, own_address

    example = (
        f'write {{"address": "HOST:FIRST-LAST"}} into {folder.path / ENGINE}: an address of this machine'
    )
    remedy = f"{example}, and ports that the other compute parties reach, one for each session at a time"
    try:
        agreed = agreed_ports(folder.path)
        with own_address(folder.path):
            pass
    except BadInput as error:
        yield Lack(str(error), remedy)
        return
    away = [name for name in compute if name != folder.name and not _is_here(folder, name)]
    if (agreed is None or _is_loopback(agreed[0])) and away:
        told = "listens on this machine only" if agreed is None else f"listens at {agreed[0]}"
        yield Lack(f"its engine {told}, and '{away[0]}' runs on another one", remedy)


def _is_here(folder: PartyFolder, name: str) -> bool:
    """Whether a party's node has an address of this very machine; who has no card is told elsewhere."""
    try:
        card = folder.peers().get(name)
    except ComityError:
        return True
    return card is None or _is_loopback(card.host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
