"""SGX quotes: what a genuine one says, and every way in which one is not genuine."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.crypto.attestation import Anchor, read_quote, verify_quote
from comity.errors import BadInput, VerificationFailed


def _quotes():
    spec = importlib.util.spec_from_file_location("crypto_quotes", Path(__file__).with_name("quotes.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


quotes = _quotes()
PROCESSOR = quotes.Processor.make()
DATA = b"\x07" * 64
GOOD = {version: PROCESSOR.but(version=version).quote(DATA) for version in (3, 4)}


def verified(raw, **changes):
    asked = {"measurement": quotes.MEASUREMENT.hex(), "data": DATA, "on": quotes.NOW, **changes}
    anchor = asked.pop("anchor", PROCESSOR.anchor)
    return verify_quote(raw, anchor, **asked)


@pytest.mark.parametrize("version", [3, 4])
def test_a_genuine_quote_says_what_runs_where(version):
    report = verified(GOOD[version])
    assert report.measurement == quotes.MEASUREMENT
    assert report.data == DATA
    assert (report.product, report.version, report.debug) == (1, 7, False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"measurement": b"\x01" * 32}, "runs other code than the agreement names"),
        ({"flags": 0x07}, "debug one"),
        ({"flags": 0x04}, "never started"),
        ({"vouching_flags": 0x17}, "the quoting enclave is a debug one"),
        ({"signer": b"\x01" * 32}, "not trusted for it"),
        ({"vouched": b"\x01" * 32}, "vouches for another attestation key"),
        ({"root_key": quotes.new_key()}, "another root"),
        ({"leaf_is_ca": True}, "not a chain"),
        ({"middle_is_ca": False}, "not a chain"),
        ({"leaf_days": -1}, "not valid on"),
        ({"certified": 3}, "nothing is fetched"),
    ],
)
@pytest.mark.parametrize("version", [3, 4])
def test_what_is_wrong_with_an_enclave_is_said(changes, words, version):
    raw = PROCESSOR.but(version=version, **changes).quote(DATA)
    with pytest.raises(VerificationFailed, match=words):
        verified(raw)


def test_data_for_another_key_or_question_are_refused():
    with pytest.raises(VerificationFailed, match="another key or another question"):
        verified(GOOD[3], data=b"\x08" * 64)


def test_a_certificate_below_another_one_of_the_same_name_is_refused():
    """The chain holds the names and the pinned root, but another key signed."""
    stranger = PROCESSOR.but(middle_key=quotes.new_key())
    honest = PROCESSOR.chain
    at = honest.index(b"-----BEGIN", 1)
    leaf = stranger.chain[: stranger.chain.index(b"-----BEGIN", 1)]

    class Mixed(quotes.Processor):
        @property
        def chain(self):
            return leaf + honest[at:]

    raw = Mixed(
        PROCESSOR.root_key, PROCESSOR.middle_key, PROCESSOR.leaf_key, PROCESSOR.attestation_key
    ).quote(DATA)
    with pytest.raises(VerificationFailed, match="not signed by the next"):
        verified(raw)


@pytest.mark.parametrize("version", [3, 4])
def test_every_signed_byte_counts(version):
    """One bit changed anywhere but in unsigned padding: refused, or not read at all."""
    raw = GOOD[version]
    unsigned = len(raw) - 1  # the zero behind the last certificate
    for at in range(0, unsigned, 7):
        altered = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        with contextlib.suppress(VerificationFailed):
            verified(altered)
            # what may change without effect: the text around a certificate's base64, never what it says
            assert b"-----BEGIN" in raw[:at] or raw[at : at + 1] == b"\n", at


@pytest.mark.parametrize("version", [3, 4])
def test_a_truncated_or_longer_quote_is_refused(version):
    raw = GOOD[version]
    for size in [*range(0, len(raw) - 1, 31), len(raw) - 1]:
        with pytest.raises(VerificationFailed):
            read_quote(raw[:size])
    with pytest.raises(VerificationFailed, match="behind its end"):
        read_quote(raw + b"x")
    with pytest.raises(VerificationFailed, match="at most"):
        read_quote(raw + bytes(70_000))


@given(st.binary(max_size=2_000))
def test_garbage_is_refused(raw):
    with pytest.raises(VerificationFailed):
        verified(raw)


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=40), st.sampled_from([3, 4]))
def test_garbage_in_a_quote_is_refused_or_changes_nothing(at, junk, version):
    raw = GOOD[version]
    at %= len(raw)
    changed = raw[:at] + junk + raw[at + len(junk) :]
    try:
        report = verified(changed)
    except VerificationFailed:
        return
    assert report == verified(raw)


@pytest.mark.parametrize(
    ("root", "signer"),
    [(b"", "8c" * 32), (b"not a certificate", "8c" * 32), (PROCESSOR.root * 2, "8c" * 32),
     (PROCESSOR.root, "zz"), (PROCESSOR.root, "8c")],
)  # fmt: skip
def test_an_anchor_that_cannot_be_one_is_refused(root, signer):
    with pytest.raises(BadInput):
        Anchor.of(root, signer)
