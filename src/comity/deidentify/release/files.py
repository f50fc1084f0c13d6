"""Hierarchies in a folder: `COLUMN.csv` in ARX's layout, for people to read and change.

The layout has rows alone. Where values are found by more than their text (numbers in bins, dates, postcodes),
`COLUMN.reading.json` beside it says how; without that file a hierarchy holds the texts of its first column.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.errors import BadInput

_READING = ".reading.json"


def file_name(column: str) -> str:
    """A column's name as a file name; a character that none should have becomes `_`."""
    kept = "".join(char if char.isalnum() or char in "-_. " else "_" for char in column)
    return kept.strip(". ") or "_"


def write_hierarchies(
    trees: Mapping[str, Hierarchy], folder: str | Path, *, mode: int = 0o644
) -> dict[str, Path]:
    """Write each hierarchy to `COLUMN.csv` in a folder, made if it is not there.

    Args:
        mode: who may read the files; 0o600 for hierarchies that were read off private data.

    Returns:
        The CSV file of each.

    Raises:
        BadInput: if the folder cannot be written, or two columns would have the same file.
    """
    place = Path(folder)
    written: dict[str, Path] = {}
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name, tree in trees.items():
            path = place / f"{file_name(name)}.csv"
            if path in written.values():
                raise BadInput(f"two columns would be written to {path}; rename one of them")
            _open_to(path, mode)
            tree.write_csv(path)
            how = {key: value for key, value in tree.to_dict().items() if key != "rows"}
            beside = path.with_suffix(_READING)
            beside.unlink(missing_ok=True)
            if how:
                _open_to(beside, mode)
                beside.write_text(json.dumps(how, indent=1) + "\n", encoding="utf-8")
            written[name] = path
    except OSError as error:
        raise BadInput(f"{place} cannot be written: {error.strerror or error}") from None
    return written


def _open_to(path: Path, mode: int) -> None:
    """An empty file that only those of `mode` may read, before anything is written to it."""
    path.touch(mode=mode)
    if mode & 0o077 == 0:
        path.chmod(mode)


def read_hierarchy(path: Path) -> Hierarchy:
    """Read a hierarchy, and how its values are read where a file beside it says so.

    Raises:
        BadInput: if a file is none, or the two do not fit together.
    """
    listed = Hierarchy.read_csv(path, separator=None)
    tree = Hierarchy.from_rows(_with_missing(listed))
    beside = path.with_suffix(_READING)
    if not beside.is_file():
        return tree
    try:
        how: Any = json.loads(beside.read_text(encoding="utf-8"))
        if not isinstance(how, dict) or "rows" in how:
            raise BadInput("it holds 'edges' or 'reading'")
        return Hierarchy.from_dict({"rows": [list(row) for row in tree.rows], **how})
    except (OSError, ValueError) as error:
        raise BadInput(f"{beside} cannot be read: {error}") from None
    except BadInput as error:
        raise BadInput(f"{beside} does not fit {path.name}: {error}") from None


def _with_missing(tree: Hierarchy) -> list[list[str | None]]:
    """A missing value is written as an empty cell: read back as missing, at every level."""
    return [[cell or None for cell in row] if not row[0] else list(row) for row in tree.rows]
