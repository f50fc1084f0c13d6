"""Certificates of a session: bound to the agreement's key, the party and the session, and to nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509

from comity.crypto.keys import SigningKey
from comity.crypto.session_ca import LIFETIME, SessionCertificate, SessionIdentity, session_name
from comity.errors import VerificationFailed

KEY = SigningKey.generate()
SESSION = session_name("sha256:agreement", "one")
IDENTITY = SessionIdentity.make(KEY, "north", SESSION)


def test_a_party_s_own_passes_also_as_a_message() -> None:
    sent = SessionCertificate.from_dict(IDENTITY.certificate.to_dict())
    assert sent == IDENTITY.certificate
    sent.verify(KEY.verify_key, "north", SESSION)
    assert IDENTITY.key_pem not in repr(IDENTITY).encode()


def test_it_lives_for_hours_and_its_root_signs_nothing_but_leaves() -> None:
    root = x509.load_der_x509_certificate(IDENTITY.certificate.root)
    leaf = x509.load_der_x509_certificate(IDENTITY.certificate.leaf)
    assert root.not_valid_after_utc - root.not_valid_before_utc < 2 * LIFETIME
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize(
    ("key", "party", "session"),
    [
        (SigningKey.generate(), "north", SESSION),
        (KEY, "south", SESSION),
        (KEY, "north", session_name("sha256:agreement", "two")),
    ],
    ids=["another key", "another party", "another session"],
)
def test_another_one_s_is_refused(key: SigningKey, party: str, session: str) -> None:
    with pytest.raises(VerificationFailed):
        IDENTITY.certificate.verify(key.verify_key, party, session)


def test_a_leaf_under_another_root_is_refused() -> None:
    other = SessionIdentity.make(SigningKey.generate(), "north", SESSION)
    mixed = replace(IDENTITY.certificate, leaf=other.certificate.leaf)
    with pytest.raises(VerificationFailed, match="not signed"):
        mixed.verify(KEY.verify_key, "north", SESSION)


def test_a_root_in_place_of_the_leaf_is_refused() -> None:
    mixed = replace(IDENTITY.certificate, leaf=IDENTITY.certificate.root)
    with pytest.raises(VerificationFailed):
        mixed.verify(KEY.verify_key, "north", SESSION)


@pytest.mark.parametrize("document", [{}, {"root": "x", "leaf": 1}, {"root": "", "leaf": "", "more": ""}])
def test_what_is_none_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(VerificationFailed):
        SessionCertificate.from_dict(document)
    with pytest.raises(VerificationFailed):
        SessionCertificate(b"", b"x").verify(KEY.verify_key, "north", SESSION)
