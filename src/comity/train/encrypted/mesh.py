"""The engine's own connections: each compute party to each other one, by TLS, with nobody else.

libspu talks past our Channel, so its connections get what the Channel has: certificates of this session only
(`crypto.session_ca`), bound to the agreement's keys before anything is opened, and a count of the bytes that
they carried, which the system keeps per connection (`TCP_INFO`, tcp(7)). The engine listens on a free port of
the loopback address, or on what the party's operator wrote into `engine.json` in its folder: an address with
a port, or with a range of ports, one for each session that runs at the same time.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from comity.crypto.session_ca import SessionCertificate, SessionIdentity
from comity.errors import BadInput, MissingExtra, PartyFailed

CONNECT_S: Final = 45.0
"""How long the compute parties wait for each other to listen."""

RECEIVE_S: Final = 300.0
"""How long the engine waits for another party's next message: the others may have slow processors."""

ENGINE: Final = "engine.json"
LOOPBACK: Final = "127.0.0.1"
_ADDRESS = re.compile(r"(\[[0-9a-f:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})")
_OWN = re.compile(r"(\[[0-9a-f:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})(?:-([0-9]{1,5}))?")
_BYTES_ACKED: Final = 120  # offset of tcpi_bytes_acked in struct tcp_info (linux/tcp.h), 8 bytes
_T = TypeVar("_T")


@dataclass(frozen=True)
class Member:
    """A compute party: where its engine listens, and its certificate, which has been verified."""

    party: str
    address: str
    certificate: SessionCertificate

    def to_dict(self) -> dict[str, Any]:
        return {"address": self.address, "certificate": self.certificate.to_dict()}

    @classmethod
    def from_dict(cls, party: str, document: Mapping[str, Any]) -> Member:
        """Read what a compute party says of itself; its certificate is verified by who asks.

        Raises:
            BadInput: if the address is none.
            VerificationFailed: if the certificate cannot be read.
        """
        address, certificate = document.get("address"), document.get("certificate")
        if not isinstance(address, str) or not isinstance(certificate, Mapping):
            raise BadInput(f"compute party '{party}' does not say where its engine listens")
        return cls(party, checked_address(address), SessionCertificate.from_dict(certificate))


def checked_address(address: str) -> str:
    """`host:port`.

    Raises:
        BadInput: if it is none.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found.group(2)) < 65_536:
        raise BadInput(f"the engine's address {address[:80]!r} is not host:port")
    return address


@contextmanager
def own_address(folder: Path) -> Iterator[str]:
    """Where this party's engine is to listen: as `engine.json` says, or a free port of the loopback address.

    The file holds `{"address": "host:port"}` or `{"address": "host:first-last"}`: of a range, a free one. The
    others reach the engine under this very address; without the file, only parties on this machine can. The
    port is kept from everybody else until the context is left: the engine has it by then.

    Raises:
        BadInput: if the file cannot be read, its host is none of this machine's, or every port is taken.
    """
    agreed = agreed_ports(folder)
    if agreed is not None:
        host, ports = agreed
        with ExitStack() as stack:
            port = next((port for port in ports if _kept(stack, folder, host, port)), None)
            if port is None:
                raise BadInput(
                    f"this party's engine cannot listen: of {ENGINE} in its folder every port is taken, or "
                    "its host is none of this machine's; give it a range of ports, one for each session at "
                    "the same time"
                )
            yield f"{host}:{port}"
        return
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as keeper:
        # bound and not listening: the engine, which allows reuse too, can bind the port, and nobody else
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind((LOOPBACK, 0))
        yield f"{LOOPBACK}:{keeper.getsockname()[1]}"


def agreed_ports(folder: Path) -> tuple[str, range] | None:
    """Host and ports of `engine.json`; None without the file.

    Raises:
        BadInput: if it holds something else.
    """
    path = folder / ENGINE
    if not path.is_file():
        return None
    try:
        found = _OWN.fullmatch(json.loads(path.read_text(encoding="utf-8"))["address"])
        if found is None:
            raise ValueError
        first, last = int(found.group(2)), int(found.group(3) or found.group(2))
        if not 0 < first <= last < 65_536:
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(
            f'{path} holds no {{"address": "host:port"}} or {{"address": "host:first-last"}}', private=True
        ) from None
    return found.group(1), range(first, last + 1)


def _kept(stack: ExitStack, folder: Path, host: str, port: int) -> bool:
    """Whether this port is free, and kept until the stack is left."""
    lock = os.open(folder / f"engine-{port}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    stack.callback(os.close, lock)
    try:
        # two keepers could bind one port, since both allow reuse: the lock tells sessions apart
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        keeper = stack.enter_context(socket.socket(found[0], socket.SOCK_STREAM))
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(found[4])
    except OSError:
        return False
    return True


class Connections:
    """The engine's connections among these members, from one of them."""

    def __init__(self, members: Sequence[Member], rank: int, identity: SessionIdentity, session: str) -> None:
        """Connect, waiting for the others.

        Raises:
            PartyFailed: if they do not come together: somebody is not there, or shows another certificate.
        """
        self._ports = {int(member.address.rpartition(":")[2]) for member in members}
        self.parties = tuple(member.party for member in members)
        self.rank = rank
        self.context: Any = within(
            CONNECT_S,
            lambda: _connect(members, rank, identity, session),
            "the compute parties' engines did not come together: one of them is not there, cannot be reached "
            "at the address it gave, or shows a certificate that none of them announced",
        )

    def bytes_sent(self) -> int:
        """What this party's end has sent and the others have taken, TLS included."""
        return sum(acknowledged(int(name), self._ports) for name in os.listdir("/proc/self/fd"))


def within(limit_s: float, work: Callable[[], _T], late: str) -> _T:
    """What `work` returns, if it does so in time; a call into the engine cannot be interrupted, only left.

    Raises:
        PartyFailed: with `late`, if it takes longer or fails.
    """
    done: list[_T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="engine", daemon=True)
    thread.start()
    thread.join(limit_s)
    if done:
        return done[0]
    if failed and isinstance(failed[0], MissingExtra):
        raise failed[0]
    raise PartyFailed(late)


def _connect(members: Sequence[Member], rank: int, identity: SessionIdentity, session: str) -> Any:
    from comity.train.encrypted.engine import libspu

    link = libspu().link
    description = link.Desc()
    description.id = session
    for member in members:
        description.add_party(member.party, member.address)
    description.connect_retry_times = int(CONNECT_S)
    description.connect_retry_interval_ms = 200
    description.recv_timeout_ms = int(RECEIVE_S * 1000)
    description.enable_ssl = True
    # only the other members' roots: no authority of the system, and not the own one
    others = b"".join(member.certificate.root_pem for at, member in enumerate(members) if at != rank)
    with tempfile.NamedTemporaryFile(prefix="comity-", suffix=".pem") as roots:
        roots.write(others)
        roots.flush()
        # the options are changed in place: there is no other way to set them
        for side in (description.client_ssl_opts, description.server_ssl_opts):
            side.cert.certificate_path = identity.certificate.leaf_pem.decode()  # a text counts as the file's
            side.cert.private_key_path = identity.key_pem.decode()
            side.verify.ca_file_path = roots.name
            side.verify.verify_depth = 2
        return link.create_brpc(description, rank)


def acknowledged(descriptor: int, ports: set[int]) -> int:
    """Bytes that the other end has taken from this descriptor, if it is a connection of the engine's."""
    try:
        copy = os.dup(descriptor)
    except OSError:
        return 0
    try:
        connection = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        return 0
    with connection:
        try:
            ends = {connection.getsockname()[1], connection.getpeername()[1]}
            if not ends & ports:
                return 0
            facts = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
            return int(struct.unpack_from("<Q", facts, _BYTES_ACKED)[0])
        except (OSError, TypeError, IndexError, struct.error):
            return 0
