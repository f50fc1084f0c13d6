"""Where the passphrase of a party's key comes from: a file, the environment, or a question at a terminal.

In this order: `--passphrase-file`, the environment variable COMITY_PASSPHRASE_FILE (a path, as service
managers hand secrets over), COMITY_PASSPHRASE (the passphrase itself, which other processes of the same
account can read), and a question if somebody sits there. Nothing here waits where nobody does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from comity.errors import BadInput

FILE_VARIABLE = "COMITY_PASSPHRASE_FILE"
VARIABLE = "COMITY_PASSPHRASE"
_LARGEST = 4096


def at_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def passphrase_of(key: Path, file: Path | None) -> str | None:
    """The passphrase for a key file; None if it has none, or nobody could say it (loading then says so).

    Raises:
        BadInput: if the key or the passphrase file cannot be read.
    """
    from comity.crypto.keys import needs_passphrase

    given = _given(file)
    if file is None and not needs_passphrase(key):
        return None
    if given is None and at_terminal():
        import typer

        return str(typer.prompt(f"Passphrase of {key}", hide_input=True, err=True))
    return given


def new_passphrase(file: Path | None) -> str | None:
    """The passphrase for a new key; None for none.

    Raises:
        BadInput: if the passphrase file cannot be read or is empty.
    """
    given = _given(file)
    if given is not None or not at_terminal():
        return given
    import typer

    words = "Passphrase for the new key (empty for none: then only the file's permissions protect it)"
    while True:
        first = str(typer.prompt(words, hide_input=True, default="", show_default=False, err=True))
        if not first or first == typer.prompt("Once more", hide_input=True, err=True):
            return first or None
        typer.echo("The two differ; again.", err=True)


def _given(file: Path | None) -> str | None:
    named = os.environ.get(FILE_VARIABLE)
    if file is not None:
        return _read(file, "--passphrase-file")
    if named:
        return _read(Path(named), FILE_VARIABLE)
    return os.environ.get(VARIABLE) or None


def _read(path: Path, source: str) -> str:
    """The file's text without the newline that editors add."""
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1).decode("utf-8")
    except OSError as error:
        raise BadInput(f"the passphrase file {path} ({source}) cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"the passphrase file {path} ({source}) is not UTF-8 text") from None
    if len(text) > _LARGEST:
        raise BadInput(f"the passphrase file {path} ({source}) is larger than any passphrase")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or "\n" in text:
        raise BadInput(f"the passphrase file {path} ({source}) must hold one line, the passphrase")
    return text
