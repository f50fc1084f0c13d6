"""A party's folder: everything that one organisation's node has, in one place with one layout.

```
key.pem           the party's Ed25519 key (0600), perhaps under a passphrase
party.json        {"name", "url"}
certificate.pem   the TLS certificate that it issued itself with that key
peers/            the others' cards, one JSON file each
agreements/       <digest>.yaml, <digest>.withdrawn-<party>.json, <digest>.deleted-<entry>.json
tables/           the party's data
ledger.db         its ledger
state.db          the node's sessions, inbox, outbox and journal
sessions/<id>/    files of a session
candidates/       releases that were made, kept to be repeated byte for byte
countersigned/    the others' checkpoints
```

Whoever can read the folder has the party's key and data: it is made for its owner alone (0700).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Self

from comity.agreement import (
    Agreement,
    Standing,
    Withdrawal,
    merge_agreements,
    read_agreement,
    read_withdrawal,
    standing,
)
from comity.crypto.keys import SigningKey, VerifyKey
from comity.crypto.tls import certificate_key, self_certificate
from comity.errors import BadInput, VerificationFailed
from comity.node.card import Card, check_name, host_and_port, read_json

DEFAULT_URL = "https://127.0.0.1:8443"
_DIGEST_LENGTH = 64


class PartyFolder:
    """Typed access to a party's folder. Read from the disk each time: a new agreement counts at once."""

    def __init__(self, path: Path, name: str, url: str, passphrase: str | None) -> None:
        self.path = path
        self.name = name
        self.url = url
        self._passphrase = passphrase

    @classmethod
    def create(cls, path: Path, name: str, url: str = DEFAULT_URL, passphrase: str | None = None) -> Self:
        """Make a party: a folder, a key that is made once, a certificate.

        Raises:
            BadInput: if the name or URL cannot be used, or the folder has a party or cannot be written.
        """
        check_name(name)
        host_and_port(url)
        folder = cls(path, name, url.removesuffix("/"), passphrase)
        if folder.party_path.exists():
            raise BadInput(f"{path} has a party already; a party is made once, in a folder of its own")
        if folder.key_path.exists():
            raise BadInput(
                f"{path} has a key but no party.json: making a party stopped halfway there, or the folder is "
                f"something else. If nobody has been given that key, remove {folder.key_path} and start again"
            )
        _make(path)
        key = SigningKey.generate()
        key.save(folder.key_path, passphrase=passphrase)
        write_whole(folder.certificate_path, self_certificate(key, name))
        for inside in (folder.peers_path, folder.agreements_path, folder.tables_path):
            _make(inside)
        # last: a folder with this file is whole
        folder._write_party()
        return folder

    @classmethod
    def open(cls, path: Path, passphrase: str | None = None) -> Self:
        """Open a party's folder. The key is read when it is first needed.

        Args:
            passphrase: of the key, if it has one.

        Raises:
            BadInput: if there is no party in this folder.
        """
        card = path / "party.json"
        if not card.is_file():
            raise BadInput(
                f"{path} is not a party's folder (it has no party.json); make one with: "
                f"comity party init NAME --folder {path}"
            )
        data = read_json(card, "the party's file")
        if not isinstance(data, Mapping) or set(data) != {"name", "url"}:
            raise BadInput(f"{card} does not hold exactly a name and a url; restore it from a copy")
        name, url = data["name"], data["url"]
        if not isinstance(name, str) or not isinstance(url, str):
            raise BadInput(f"{card}: name and url must be text")
        check_name(name)
        host_and_port(url)
        return cls(path, name, url, passphrase)

    @property
    def key_path(self) -> Path:
        return self.path / "key.pem"

    @property
    def party_path(self) -> Path:
        return self.path / "party.json"

    @property
    def certificate_path(self) -> Path:
        return self.path / "certificate.pem"

    @property
    def peers_path(self) -> Path:
        return self.path / "peers"

    @property
    def agreements_path(self) -> Path:
        return self.path / "agreements"

    @property
    def tables_path(self) -> Path:
        return self.path / "tables"

    @property
    def ledger_path(self) -> Path:
        return self.path / "ledger.db"

    @property
    def state_path(self) -> Path:
        return self.path / "state.db"

    @property
    def shares_path(self) -> Path:
        return self.path / "shares"

    @property
    def sessions_path(self) -> Path:
        return self.path / "sessions"

    @property
    def candidates_path(self) -> Path:
        return self.path / "candidates"

    @property
    def countersigned_path(self) -> Path:
        return self.path / "countersigned"

    @cached_property
    def key(self) -> SigningKey:
        """The party's private key.

        Raises:
            BadInput: as `SigningKey.load`: no passphrase, a wrong one, a file that others can read.
        """
        return SigningKey.load(self.key_path, passphrase=self._passphrase)

    @property
    def certificate(self) -> bytes:
        """The party's TLS certificate, PEM."""
        try:
            return self.certificate_path.read_bytes()
        except OSError as error:
            raise BadInput(
                f"the certificate {self.certificate_path} cannot be read: {error.strerror}; make a new one "
                f"with: comity party card --renew --folder {self.path}"
            ) from None

    @property
    def verify_key(self) -> VerifyKey:
        """The party's public key, for which the private one and its passphrase are not needed."""
        return certificate_key(self.certificate)

    def renew(self, url: str | None = None) -> None:
        """A new certificate for the same key, perhaps another address; peers need the new card."""
        if url is not None:
            host_and_port(url)
        write_whole(self.certificate_path, self_certificate(self.key, self.name))
        if url is not None:
            self.url = url.removesuffix("/")
            self._write_party()

    def card(self) -> Card:
        """This party's card, signed now.

        Raises:
            VerificationFailed: if the certificate is no longer valid, or is not this key's.
        """
        card = Card.make(self.name, self.url, self.key, self.certificate)
        card.verify()
        return card

    def peers(self) -> dict[str, Card]:
        """The others' cards by name. Dates are not looked at: `Card.verify` does that where it matters.

        Raises:
            BadInput, VerificationFailed: naming the file that is not the card it was.
        """
        found: dict[str, Card] = {}
        for path in sorted(self.peers_path.glob("*.json")):
            card = Card.read(path)
            card.check_signature()
            if path.stem != card.name:
                raise BadInput(f"{path} holds the card of '{card.name}'; name the file {card.name}.json")
            found[card.name] = card
        return found

    def add_peer(self, card: Card) -> None:
        """Keep another party's card, or a newer one of the same key.

        Raises:
            VerificationFailed: if the card does not verify.
            BadInput: if it has this party's own name, or one that is kept with another key or a newer card.
        """
        card.verify()
        if card.name == self.name:
            raise BadInput(
                f"the card is of '{card.name}', which is this party's own name; add the others' cards"
            )
        path = self.peers_path / f"{card.name}.json"
        kept = Card.read(path) if path.exists() else None
        if kept is not None and kept.key != card.key:
            raise BadInput(
                f"a card of '{card.name}' with another key is kept already: {kept.key}; this one has "
                f"{card.key}. Ask that party which is right; if its key has changed, remove {path} first, "
                "and note that agreements name the old key"
            )
        if kept is not None and kept.valid[0] > card.valid[0]:
            raise BadInput(
                f"a newer card of '{card.name}' is kept: from {kept.valid[0]:%Y-%m-%d %H:%M} UTC, this "
                f"one from {card.valid[0]:%Y-%m-%d %H:%M}; ask that party for its present card"
            )
        _make(self.peers_path)
        write_whole(path, (json.dumps(card.to_dict(), indent=2) + "\n").encode())

    def agreements(self) -> dict[str, Agreement]:
        """All agreements kept, in force or past, by digest."""
        paths = sorted(self.agreements_path.glob("*.yaml"))
        return {path.stem: self.agreement(path.stem) for path in paths if len(path.stem) == _DIGEST_LENGTH}

    def agreement(self, digest: str) -> Agreement:
        """The agreement of this digest, signatures not checked.

        Raises:
            BadInput: if it is not kept here.
            VerificationFailed: if the file holds another one.
        """
        path = self._agreement_path(digest)
        if not path.is_file():
            raise BadInput(
                f"no agreement {digest[:12]}... is kept in {self.agreements_path}; get the signed file and "
                f"run: comity agree sign FILE --folder {self.path}"
            )
        agreement = read_agreement(path)
        if agreement.digest != digest:
            raise VerificationFailed(
                f"{path} holds the agreement {agreement.digest[:12]}..., not the one it is named"
            )
        return agreement

    def keep_agreement(self, agreement: Agreement) -> Agreement:
        """Keep an agreement, with the signatures of it that are kept already.

        Returns:
            The agreement as it is now kept.

        Raises:
            VerificationFailed: if a signature does not fit.
        """
        path = self._agreement_path(agreement.digest)
        known = [read_agreement(path)] if path.exists() else []
        merged = merge_agreements([*known, agreement])
        _make(self.agreements_path)
        write_whole(path, merged.to_yaml().encode())
        return merged

    def withdrawals(self) -> tuple[Withdrawal, ...]:
        """All withdrawals kept; `standing` checks their signatures."""
        return tuple(
            read_withdrawal(path) for path in sorted(self.agreements_path.glob("*.withdrawn-*.json"))
        )

    def keep_withdrawal(self, withdrawal: Withdrawal) -> Path:
        """Keep a withdrawal from an agreement that is kept here.

        Raises:
            BadInput: if that agreement is not kept here.
            ClauseRefused: if it is by nobody of its parties.
            VerificationFailed: if its signature does not fit.
        """
        withdrawal.verify(self.agreement(withdrawal.agreement))
        path = self.agreements_path / withdrawal.file_name
        if not path.exists():
            write_whole(path, withdrawal.to_json().encode())
        return path

    def standing(self, agreement: Agreement, on: date) -> Standing:
        """How an agreement stands on a day, given everything that is kept here."""
        return standing(agreement, self.agreements().values(), self.withdrawals(), on)

    def _agreement_path(self, digest: str) -> Path:
        if len(digest) != _DIGEST_LENGTH or not set(digest) <= set("0123456789abcdef"):
            raise BadInput(f"an agreement's digest has 64 hexadecimal digits, this is none: {digest[:80]!r}")
        return self.agreements_path / f"{digest}.yaml"

    def _write_party(self) -> None:
        text = json.dumps({"name": self.name, "url": self.url}, indent=2) + "\n"
        write_whole(self.party_path, text.encode())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, on the disk when this returns, for its owner alone.

    Raises:
        BadInput: if it cannot be written.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from None


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"the folder {path} cannot be made: {error.strerror}") from None
