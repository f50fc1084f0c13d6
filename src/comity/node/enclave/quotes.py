"""Where quotes come from: a seam, with Gramine's device behind it.

Gramine shows a program in an enclave two files (its documentation, "Attestation and Secret Provisioning"):
64 bytes written to `user_report_data` stand in the quote that is then read from `quote`.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final, Protocol

from comity.crypto.attestation import MOST_BYTES
from comity.errors import VerificationFailed

GRAMINE: Final = Path("/dev/attestation")


class QuoteSource(Protocol):
    """Whatever makes quotes for the enclave that this process runs in."""

    def quote(self, data: bytes) -> bytes:
        """A quote that holds these 64 bytes.

        Raises:
            VerificationFailed: if none could be made.
        """
        ...


class GramineQuotes:
    """Quotes by Gramine's pseudo-files."""

    def __init__(self, device: Path = GRAMINE) -> None:
        self._device = device
        self._one = threading.Lock()

    def quote(self, data: bytes) -> bytes:
        try:
            with self._one:
                (self._device / "user_report_data").write_bytes(data)
                with (self._device / "quote").open("rb") as file:
                    return file.read(MOST_BYTES)
        except OSError as error:
            raise VerificationFailed(
                f"the enclave's quote could not be made: {error.strerror}; is the manifest's "
                'sgx.remote_attestation "dcap", and does the quoting service run on this machine?'
            ) from None


def available_quotes(device: Path = GRAMINE) -> QuoteSource | None:
    """The quotes that can be made here; None outside enclaves."""
    return GramineQuotes(device) if (device / "quote").exists() else None
