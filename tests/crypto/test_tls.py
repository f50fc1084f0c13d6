"""TLS between parties: the agreement's key gets in, and nothing else does."""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from comity.crypto import tls
from comity.crypto.keys import SigningKey
from comity.crypto.tls import (
    certificate_dates,
    certificate_key,
    certificate_party,
    client_context,
    self_certificate,
    server_context,
)
from comity.errors import BadInput, UsageError, VerificationFailed


@dataclass(frozen=True)
class End:
    """A party's key and certificate."""

    name: str
    key: SigningKey
    certificate: bytes


def _end(name: str, key: SigningKey | None = None) -> End:
    key = key or SigningKey.generate()
    return End(name, key, self_certificate(key, name))


NORTH, SOUTH, ANALYST = _end("north"), _end("south"), _end("analyst")


def _server(end: End, *peers: End) -> ssl.SSLContext:
    return server_context(end.key, end.certificate, [peer.certificate for peer in peers])


def _client(end: End, peer: End) -> ssl.SSLContext:
    return client_context(end.key, end.certificate, peer.certificate)


def _talk(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> dict[str, Any]:
    """One handshake over loopback, one byte there and one back; what each side saw or raised."""
    seen: dict[str, Any] = {}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            raw, _ = listener.accept()
            raw.settimeout(10)
            with raw:
                try:
                    with server.wrap_socket(raw, server_side=True) as wrapped:
                        seen["peer"] = wrapped.getpeercert(binary_form=True)
                        seen["heard"] = wrapped.recv(1)
                        wrapped.sendall(b"y")
                except OSError as error:
                    seen["server"] = error

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), timeout=10) as raw,
                client.wrap_socket(raw, server_hostname=name) as wrapped,
            ):
                wrapped.sendall(b"x")
                seen["answer"] = wrapped.recv(1)
                seen["version"] = wrapped.version()
                seen["resumed"] = wrapped.session_reused
        except OSError as error:
            seen["client"] = error
        thread.join(10)
        assert not thread.is_alive()
    return seen


def _refused(seen: dict[str, Any]) -> None:
    """Nothing was exchanged: a client may finish its own half of the handshake, but gets no answer."""
    assert "heard" not in seen
    assert seen.get("answer", b"") == b""
    assert "server" in seen or "client" in seen


def test_the_right_keys_talk() -> None:
    seen = _talk(_server(NORTH, SOUTH, ANALYST), _client(ANALYST, NORTH), "north")
    assert (seen["heard"], seen["answer"], seen["version"]) == (b"x", b"y", "TLSv1.3")
    assert seen["peer"] == x509.load_pem_x509_certificate(ANALYST.certificate).public_bytes(Encoding.DER)


def test_a_stranger_does_not_get_in() -> None:
    _refused(_talk(_server(NORTH, ANALYST), _client(SOUTH, NORTH), "north"))


def test_a_stranger_with_a_partys_name_does_not_get_in() -> None:
    _refused(_talk(_server(NORTH, ANALYST), _client(_end("analyst"), NORTH), "north"))


def test_without_a_certificate_nobody_gets_in() -> None:
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.load_verify_locations(cadata=NORTH.certificate.decode())
    _refused(_talk(_server(NORTH, ANALYST), bare, "north"))


def test_a_false_server_is_not_talked_to() -> None:
    seen = _talk(_server(_end("north"), ANALYST), _client(ANALYST, NORTH), "north")
    _refused(seen)
    assert isinstance(seen["client"], ssl.SSLCertVerificationError)


def test_another_party_cannot_answer_for_a_peer() -> None:
    _refused(_talk(_server(SOUTH, ANALYST), _client(ANALYST, NORTH), "north"))
    _refused(_talk(_server(SOUTH, ANALYST), _client(ANALYST, NORTH), "south"))


def test_the_name_has_to_fit_too() -> None:
    for name in ("south", "127.0.0.1", "localhost", "north.example"):
        seen = _talk(_server(NORTH, ANALYST), _client(ANALYST, NORTH), name)
        assert isinstance(seen["client"], ssl.SSLCertVerificationError)
        _refused(seen)


def test_exactly_the_known_certificate_counts() -> None:
    """Also a fresh one of the same key has to be made known first."""
    _refused(_talk(_server(NORTH, ANALYST), _client(_end("analyst", ANALYST.key), NORTH), "north"))


def _issued_by(issuer: End, name: str, key: SigningKey) -> bytes:
    """A certificate for somebody, signed by a party that may not sign any."""
    now = datetime.now(UTC)
    public = key.private.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.load_pem_x509_certificate(issuer.certificate).subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.private.public_key()),
            critical=False,
        )
    )
    return builder.sign(issuer.key.private, algorithm=None).public_bytes(Encoding.PEM)


def test_a_peer_cannot_vouch_for_anybody() -> None:
    helper = SigningKey.generate()
    chain = _issued_by(SOUTH, "analyst", helper) + SOUTH.certificate
    _refused(_talk(_server(NORTH, SOUTH), client_context(helper, chain, NORTH.certificate), "north"))
    false_south = server_context(
        helper, _issued_by(SOUTH, "south", helper) + SOUTH.certificate, [ANALYST.certificate]
    )
    _refused(_talk(false_south, _client(ANALYST, SOUTH), "south"))


def test_only_tls_1_3_and_no_tickets() -> None:
    server = _server(NORTH, ANALYST)
    assert server.minimum_version is ssl.TLSVersion.TLSv1_3
    assert server.verify_mode is ssl.CERT_REQUIRED
    assert server.num_tickets == 0
    old = _client(ANALYST, NORTH)
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    _refused(_talk(server, old, "north"))


def test_the_trust_store_holds_the_peers_and_nothing_else() -> None:
    assert _server(NORTH, SOUTH, ANALYST).cert_store_stats()["x509"] == 2
    assert _client(NORTH, SOUTH).cert_store_stats()["x509"] == 1
    assert _client(NORTH, SOUTH).check_hostname


def test_a_second_certificate_cannot_slip_in() -> None:
    smuggled = SOUTH.certificate + _end("north").certificate
    with pytest.raises(VerificationFailed, match="one TLS certificate was expected, 2 came"):
        certificate_party(smuggled, SOUTH.key.verify_key, "south")
    with pytest.raises(VerificationFailed, match="2 came"):
        server_context(NORTH.key, NORTH.certificate, [smuggled])
    with pytest.raises(VerificationFailed, match="2 came"):
        client_context(NORTH.key, NORTH.certificate, smuggled)


def test_a_peer_that_could_sign_others_is_not_trusted() -> None:
    authority = _spoiled(
        SOUTH, lambda b: b.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    )
    silent = _spoiled(SOUTH, lambda b: b)
    for pem in (authority, silent):
        with pytest.raises(VerificationFailed, match="could sign others"):
            server_context(NORTH.key, NORTH.certificate, [pem])


def test_a_server_without_peers_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="at least one peer"):
        server_context(NORTH.key, NORTH.certificate, [])


def test_a_certificate_of_another_key_cannot_be_presented() -> None:
    with pytest.raises(BadInput, match="not made from its key"):
        server_context(NORTH.key, SOUTH.certificate, [ANALYST.certificate])


def test_the_key_touches_the_disk_only_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    real = tempfile.NamedTemporaryFile

    @contextmanager
    def watched(**options: Any) -> Iterator[Any]:
        with real(**options) as file:
            write = file.write
            file.write = lambda data: (written.append(data), write(data))
            yield file

    monkeypatch.setattr(tls.tempfile, "NamedTemporaryFile", watched)
    _client(NORTH, SOUTH)
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in b"".join(written)
    assert b"BEGIN PRIVATE KEY" not in b"".join(written)


def test_a_partys_certificate_is_recognised() -> None:
    certificate_party(NORTH.certificate, NORTH.key.verify_key, "north")
    held = x509.load_pem_x509_certificate(NORTH.certificate)
    assert held.not_valid_after_utc - held.not_valid_before_utc == timedelta(days=398, hours=1)
    assert (
        held.serial_number
        != x509.load_pem_x509_certificate(self_certificate(NORTH.key, "north")).serial_number
    )


def test_what_a_certificate_says_of_itself() -> None:
    first, last = certificate_dates(NORTH.certificate)
    assert first < datetime.now(UTC) < last
    assert last - first == timedelta(days=398, hours=1)
    assert certificate_key(NORTH.certificate) == NORTH.key.verify_key
    other = _spoiled(NORTH, _proper, public=_EC.public_key(), signer=_EC)
    with pytest.raises(VerificationFailed, match="no Ed25519 key"):
        certificate_key(other)
    with pytest.raises(VerificationFailed, match="cannot be read"):
        certificate_dates(b"nothing")


def test_another_key_or_name_is_not() -> None:
    with pytest.raises(
        VerificationFailed, match="party 'north' holds another key than the agreement names for it"
    ):
        certificate_party(NORTH.certificate, SOUTH.key.verify_key, "north")
    with pytest.raises(VerificationFailed, match="made out to another name"):
        certificate_party(NORTH.certificate, NORTH.key.verify_key, "south")
    with pytest.raises(VerificationFailed, match="holds another key"):
        certificate_party(_end("north").certificate, NORTH.key.verify_key, "north")


@pytest.mark.parametrize(
    "pem", [b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_refused(pem: bytes) -> None:
    with pytest.raises(VerificationFailed, match="cannot be read"):
        certificate_party(pem, NORTH.key.verify_key, "north")


@pytest.mark.parametrize(
    "name", ["", "North", "a b", "*.north", "a--b", "-a", "a-", "1", "x" * 64, "a.b", "é", "a\n"]
)
def test_names_that_cannot_be_host_names(name: str) -> None:
    with pytest.raises(BadInput, match="cannot stand in a TLS certificate"):
        self_certificate(NORTH.key, name)


Builder = x509.CertificateBuilder


def _spoiled(
    end: End,
    change: Callable[[Builder], Builder],
    *,
    subject: str | None = None,
    begin: timedelta = timedelta(hours=-1),
    end_in: timedelta = timedelta(days=398),
    signer: Any = None,
    public: Any = None,
) -> bytes:
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject or end.name)])
    builder = (
        Builder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public or end.key.private.public_key())
        .serial_number(7)
        .not_valid_before(now + begin)
        .not_valid_after(now + end_in)
    )
    key = signer or end.key.private
    algorithm = SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None
    return change(builder).sign(key, algorithm).public_bytes(Encoding.PEM)


def _proper(builder: Builder) -> Builder:
    for extension, critical in tls._extensions(NORTH.key.private.public_key(), "north"):
        builder = builder.add_extension(extension, critical)
    return builder


def _with(replacement: x509.ExtensionType, critical: bool = False) -> Callable[[Builder], Builder]:
    """The proper extensions with one of them replaced, or one more."""

    def change(builder: Builder) -> Builder:
        for extension, mark in tls._extensions(NORTH.key.private.public_key(), "north"):
            if extension.oid != replacement.oid:
                builder = builder.add_extension(extension, mark)
        return builder.add_extension(replacement, critical)

    return change


def test_the_proper_one_passes_where_the_spoiled_ones_do_not() -> None:
    certificate_party(_spoiled(NORTH, _proper), NORTH.key.verify_key, "north")


_EC = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("pem", "says"),
    [
        (_spoiled(NORTH, lambda builder: builder), "claims more"),
        (_spoiled(NORTH, _with(x509.BasicConstraints(ca=True, path_length=None), True)), "claims more"),
        (_spoiled(NORTH, _with(x509.SubjectAlternativeName([x509.DNSName("south")]))), "another name"),
        (
            _spoiled(
                NORTH, _with(x509.SubjectAlternativeName([x509.DNSName("north"), x509.DNSName("south")]))
            ),
            "another name",
        ),
        (_spoiled(NORTH, _with(x509.SubjectAlternativeName([x509.DNSName("*")]))), "another name"),
        (_spoiled(NORTH, _with(x509.OCSPNoCheck())), "claims more"),
        (_spoiled(NORTH, _proper, subject="south"), "another name"),
        (_spoiled(NORTH, _proper, signer=SOUTH.key.private), "does not verify"),
        (_spoiled(NORTH, _proper, public=SOUTH.key.private.public_key()), "holds another key"),
        (_spoiled(NORTH, _proper, public=_EC.public_key(), signer=_EC), "holds another key"),
        (_spoiled(NORTH, _proper, begin=timedelta(hours=1)), "that is not now"),
        (_spoiled(NORTH, _proper, begin=timedelta(days=-7), end_in=timedelta(seconds=-1)), "that is not now"),
        (_spoiled(NORTH, _proper, end_in=timedelta(days=399)), "longer than 398 days"),
    ],
)
def test_every_other_certificate_is_refused(pem: bytes, says: str) -> None:
    with pytest.raises(VerificationFailed, match=says):
        certificate_party(pem, NORTH.key.verify_key, "north")


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_every_changed_bit_is_refused() -> None:
    """Also in the part that the signature does not cover."""
    proper = x509.load_pem_x509_certificate(NORTH.certificate).public_bytes(Encoding.DER)
    for bit in range(len(proper) * 8):
        changed = bytearray(proper)
        changed[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(VerificationFailed):
            certificate_party(
                ssl.DER_cert_to_PEM_cert(bytes(changed)).encode(), NORTH.key.verify_key, "north"
            )


@contextmanager
def _served(context: ssl.SSLContext) -> Iterator[int]:
    """A uvicorn server with this context, in a thread, stopped afterwards."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": scope["scheme"][:2].encode()})

    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        ssl_context_factory=lambda config, default: context,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        waiter = threading.Event()
        while not server.started and thread.is_alive():
            waiter.wait(0.01)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()


def _get(context: ssl.SSLContext, port: int, name: str) -> httpx.Response:
    with httpx.Client(verify=context, trust_env=False, timeout=10) as client:
        return client.get(f"https://127.0.0.1:{port}/", extensions={"sni_hostname": name})


def test_uvicorn_and_httpx_take_these_contexts() -> None:
    with _served(_server(NORTH, SOUTH, ANALYST)) as port:
        for end in (ANALYST, SOUTH):
            assert _get(_client(end, NORTH), port, "north").text == "ht"
        for context, name in (
            (_client(ANALYST, NORTH), "south"),
            (_client(ANALYST, SOUTH), "south"),
            (_client(_end("analyst"), NORTH), "north"),
            (_client(_end("stranger"), NORTH), "north"),
        ):
            with pytest.raises(httpx.HTTPError):
                _get(context, port, name)
        with pytest.raises(httpx.HTTPError), httpx.Client(trust_env=False, timeout=10) as client:
            client.get(f"http://127.0.0.1:{port}/")
        assert _get(_client(ANALYST, NORTH), port, "north").status_code == 200
