"""A party's card: what others need to reach it and to know it again, signed with its own key.

Cards are handed over by a way that both sides trust already (in person, by a known address); the commands
show the key in full so that it can be read out and compared. The signature shows that nobody changed the card
on the way; whether the key is that organisation's, only people can tell.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from comity.crypto.canonical import canonical_bytes
from comity.crypto.keys import SigningKey, VerifyKey
from comity.crypto.tls import certificate_dates, certificate_party
from comity.errors import BadInput

_SIGNED = b"comity card\x00"
_FIELDS = ("name", "url", "key", "certificate", "signature")
_LARGEST = 65_536
_NAME = re.compile(r"[a-z](-?[a-z0-9])*")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class Card:
    """A party's name, address, key and TLS certificate, signed by that key.

    Attributes:
        name: as the agreement writes it.
        url: `https://host:port`, where its node listens.
        key: its public key.
        certificate: PEM, self-issued with that key.
        signature: 64 bytes over the canonical form of the others.
    """

    name: str
    url: str
    key: VerifyKey
    certificate: bytes
    signature: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        host_and_port(self.url)

    @classmethod
    def make(cls, name: str, url: str, key: SigningKey, certificate: bytes) -> Self:
        """A card signed by its party."""
        body = _body(name, url, key.verify_key, certificate)
        return cls(name, url, key.verify_key, certificate, key.sign(_SIGNED + canonical_bytes(body)))

    @classmethod
    def from_dict(cls, data: object, *, where: str = "the card") -> Self:
        """Read a card; nothing in it is verified yet.

        Raises:
            BadInput: naming what is missing, unknown or malformed.
        """
        if not isinstance(data, Mapping) or set(data) != set(_FIELDS):
            raise BadInput(f"{where} is not a party's card: a card has {', '.join(_FIELDS)} and nothing else")
        values = {name: data[name] for name in _FIELDS}
        wrong = [name for name, value in values.items() if not isinstance(value, str)]
        if wrong:
            raise BadInput(f"{where}: {wrong[0]} must be text")
        try:
            signature = base64.b64decode(values["signature"], validate=True)
            certificate = values["certificate"].encode("ascii")
        except (ValueError, binascii.Error):
            raise BadInput(f"{where}: certificate or signature is not what a card has there") from None
        if len(signature) != 64 or base64.b64encode(signature).decode() != values["signature"]:
            raise BadInput(f"{where}: signature is not 64 bytes in canonical base64")
        return cls(values["name"], values["url"], VerifyKey.parse(values["key"]), certificate, signature)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a card's file.

        Raises:
            BadInput: if it is not there or holds no card.
        """
        return cls.from_dict(read_json(path, "the card"), where=f"the card {path}")

    def to_dict(self) -> dict[str, Any]:
        """The file form."""
        return {
            **_body(self.name, self.url, self.key, self.certificate),
            "signature": base64.b64encode(self.signature).decode(),
        }

    def check_signature(self) -> None:
        """Check that the card is whole and by the holder of its key.

        Raises:
            VerificationFailed: if it is not.
        """
        body = _body(self.name, self.url, self.key, self.certificate)
        self.key.verify(self.signature, _SIGNED + canonical_bytes(body), what=f"the card of '{self.name}'")

    def verify(self) -> None:
        """Check the signature, and that the certificate is of this key and name and valid now.

        Raises:
            VerificationFailed: saying which of these fails.
        """
        self.check_signature()
        certificate_party(self.certificate, self.key, self.name)

    @property
    def host(self) -> str:
        """The host of the URL; an IPv6 address without its brackets."""
        return host_and_port(self.url)[0]

    @property
    def port(self) -> int:
        return host_and_port(self.url)[1]

    @property
    def valid(self) -> tuple[datetime, datetime]:
        """From when and until when its certificate is valid, in UTC."""
        return certificate_dates(self.certificate)


def check_name(name: str) -> str:
    """A party's name, as agreements and certificates take it.

    Raises:
        BadInput: if it is not one.
    """
    if not _NAME.fullmatch(name) or len(name) > 63:
        raise BadInput(
            f"the party's name {name[:80]!r} cannot be used: it has lower-case letters, digits and single "
            "hyphens, begins with a letter and is at most 63 long, as in 'north-hospital'"
        )
    return name


def host_and_port(url: str) -> tuple[str, int]:
    """Where a node listens.

    Raises:
        BadInput: if the URL is not `https://host:port` and nothing more.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    rebuilt = f"https://[{host}]:{port}" if host and ":" in host else f"https://{host}:{port}"
    known = host is not None and (_HOST.fullmatch(host) or _is_ipv6(host))
    if host is None or not known or not port or rebuilt != url.removesuffix("/").lower():
        raise BadInput(
            f"the address {url[:120]!r} cannot be used: write it as https://host:port, for instance "
            "https://comity.north.example:8443"
        )
    return host, port


def _is_ipv6(host: str) -> bool:
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False


def read_json(path: Path, what: str, *, largest: int = _LARGEST) -> object:
    """A small JSON file.

    Raises:
        BadInput: if it cannot be read, is large, or is not JSON.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(largest + 1)
    except FileNotFoundError:
        raise BadInput(f"{what} {path} does not exist; check the path") from None
    except OSError as error:
        raise BadInput(f"{what} {path} cannot be read: {error.strerror}") from None
    if len(raw) > largest:
        raise BadInput(f"{what} {path} is larger than {largest:,} bytes; it is another file")
    try:
        return json.loads(raw, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{what} {path} is not JSON: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands in it twice")
    return found


def _body(name: str, url: str, key: VerifyKey, certificate: bytes) -> dict[str, Any]:
    return {"name": name, "url": url, "key": str(key), "certificate": certificate.decode("ascii")}
