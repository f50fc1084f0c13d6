"""Reading agreements from text and files."""

from __future__ import annotations

from pathlib import Path

from comity.agreement.terms import Agreement, agreement_from
from comity.agreement.text import MAX_BYTES, read_document
from comity.errors import BadAgreement


def parse_agreement(text: str, *, where: str) -> Agreement:
    """Read an agreement's YAML; `where` names it in errors. Signatures are not checked here.

    Raises:
        BadAgreement: naming line and path of every fault.
    """
    document = read_document(text, where=where)
    return agreement_from(document.value, where=where, lines=document)


def read_agreement(path: Path) -> Agreement:
    """Read an agreement file.

    Raises:
        BadAgreement: if the file is missing, too large, not UTF-8, or fails `parse_agreement`.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise BadAgreement(f"the agreement file {path} does not exist; check the path") from None
    except OSError as error:
        raise BadAgreement(f"the agreement file {path} cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise BadAgreement(f"the agreement file {path} is larger than {MAX_BYTES:,} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadAgreement(
            f"the agreement file {path} is not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from None
    return parse_agreement(text, where=str(path))
