"""The data that comity ships: Adult, 48,842 people of the 1994 census of the United States.

Where it comes from and what was changed stands in `adult/ATTRIBUTION.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from comity.data.split import parts
from comity.data.table import Table
from comity.errors import BadInput
from comity.schema import Schema, read_schema

ADULT_FOLDER = Path(__file__).resolve().parent / "adult"
ADULT_PARTS: Mapping[str, float] = {"north": 0.5, "east": 0.3, "south": 0.2}
"""Three providers of unequal size, as the demo deals Adult out to them."""


def load_adult() -> Table:
    """Adult: 48,842 rows; `id`, 12 features, and the target `income` (`<=50K`, `>50K`)."""
    from comity.data.read import read_table

    table = read_table(ADULT_FOLDER / "adult.parquet", schema=adult_schema())
    return Table(table.arrow, "Adult")


def adult_schema() -> Schema:
    """Adult's schema: roles, types, public bounds and levels, hierarchies relative to `ADULT_FOLDER`."""
    return read_schema(ADULT_FOLDER / "schema.yaml")


def adult_hierarchies() -> dict[str, Path]:
    """The hierarchy file of each quasi-identifier: `;` separated, the value first, each column one level up.

    A missing value stands in them as `?`.
    """
    schema = adult_schema()
    return {name: ADULT_FOLDER / path for name in schema if isinstance(path := schema[name].hierarchy, str)}


def write_adult_parts(
    folder: Path, *, shares: Mapping[str, float] = ADULT_PARTS, seed: int = 0
) -> dict[str, Path]:
    """Deal Adult out to providers: one CSV file each, with rows that no other provider has.

    Args:
        folder: made if it is not there.
        shares: share of the rows of each provider, scaled to sum to 1.
        seed: fixes who gets which rows.

    Returns:
        The file of each provider, `NAME.csv`.

    Raises:
        BadInput: if the folder or a file cannot be written.
    """
    from comity.data.write import write_table

    table = load_adult()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"the folder {folder} cannot be made: {error.strerror}") from None
    written = {}
    for name, rows in zip(shares, parts(table.rows, list(shares.values()), seed=seed), strict=True):
        written[name] = folder / f"{name}.csv"
        write_table(table.take(rows), written[name])
    return written
