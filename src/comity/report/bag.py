"""Writing files as a BagIt bag (RFC 8493), in a folder or in a ZIP that holds one: what crates travel in."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from comity.errors import BadInput

_DECLARATION = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


def write_bag(target: Path, payload: Mapping[str, bytes], *, identifier: str) -> Path:
    """Write a bag whole or not at all.

    Args:
        target: a new folder, or a new file whose name ends with `.zip`.
        payload: content by path below `data/`; `/` separates folders.
        identifier: for `External-Identifier`, a URN.

    Returns:
        Where it is.

    Raises:
        BadInput: if there is something already, or it cannot be written.
    """
    if target.exists():
        raise BadInput(f"{target} is there already; name a new folder or .zip for the crate")
    files = bag_files(payload, identifier=identifier)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        try:
            if target.suffix == ".zip":
                _zipped(draft / target.name, target.stem, files)
                os.replace(draft / target.name, target)
            else:
                _laid_out(draft / "bag", files)
                os.replace(draft / "bag", target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror}") from None
    return target


def bag_files(payload: Mapping[str, bytes], *, identifier: str) -> dict[str, bytes]:
    """Every file of the bag by its path: payload, manifests, and what a bag says of itself."""
    files = {f"data/{name}": content for name, content in sorted(payload.items())}
    octets = sum(len(content) for content in files.values())
    info = (
        f"External-Identifier: {identifier}\n"
        f"Bagging-Date: {datetime.now(UTC):%Y-%m-%d}\n"
        f"Payload-Oxum: {octets}.{len(files)}\n"
    )
    tags = {
        "bagit.txt": _DECLARATION.encode(),
        "bag-info.txt": info.encode(),
        "manifest-sha512.txt": _manifest(files),
    }
    return {**files, **tags, "tagmanifest-sha512.txt": _manifest(tags)}


def _manifest(files: Mapping[str, bytes]) -> bytes:
    return "".join(f"{hashlib.sha512(files[name]).hexdigest()}  {name}\n" for name in sorted(files)).encode()


def _zipped(path: Path, folder: str, files: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"{folder}/{name}", content)


def _laid_out(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
