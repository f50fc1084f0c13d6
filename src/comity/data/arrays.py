"""Arrow arrays as numpy arrays and back, straight through their buffers.

Arrow's own conversions (`to_numpy`, `pa.array`, `pa.scalar`) import pandas wherever it is installed, which
costs each party's process half a second and 50 MB; nothing here does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_FLOATS = {"halffloat": "float16", "float": "float32", "double": "float64"}


def valid(column: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """(rows,) booleans: true where there is a value."""
    return _joined([_valid(chunk) for chunk in _chunks(column)], np.bool_)


def booleans(column: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """(rows,) booleans of a boolean column, false where missing."""
    parts = [_bits(chunk, chunk.buffers()[1]) & _valid(chunk) for chunk in _chunks(column)]
    return _joined(parts, np.bool_)


def fixed_width(column: pa.Array | pa.ChunkedArray, fill: float) -> NDArray[np.generic]:
    """(rows,) numbers of an integer or float column in its own width, `fill` where missing."""
    dtype = np.dtype(_FLOATS.get(str(column.type), str(column.type)))
    return _joined([_fixed_width(chunk, dtype, fill) for chunk in _chunks(column)], dtype)


def to_arrow(values: NDArray, missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """(rows,) booleans, integers or floats as an Arrow array, null where `missing`."""
    import pyarrow as pa

    flags = values.dtype == np.bool_
    body = np.packbits(values, bitorder="little") if flags else np.ascontiguousarray(values)
    kind = pa.bool_() if flags else pa.type_for_alias(values.dtype.name)
    bitmap = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [bitmap, pa.py_buffer(body)])


def _fixed_width(chunk: pa.Array, dtype: np.dtype, fill: float) -> NDArray[np.generic]:
    if len(chunk) == 0:
        return np.empty(0, dtype)
    whole = np.frombuffer(chunk.buffers()[1], dtype=dtype)
    values = whole[chunk.offset : chunk.offset + len(chunk)]
    return values if chunk.null_count == 0 else np.where(_valid(chunk), values, dtype.type(fill))


def _valid(chunk: pa.Array) -> NDArray[np.bool_]:
    if len(chunk) and chunk.null_count == len(chunk):
        return np.zeros(len(chunk), dtype=np.bool_)
    bitmap = chunk.buffers()[0] if chunk.null_count else None
    return np.ones(len(chunk), dtype=np.bool_) if bitmap is None else _bits(chunk, bitmap)


def _bits(chunk: pa.Array, bitmap: pa.Buffer) -> NDArray[np.bool_]:
    """A bitmap of the chunk as booleans (Arrow counts bits from the least significant one)."""
    if len(chunk) == 0:
        return np.empty(0, dtype=np.bool_)
    first = chunk.offset // 8
    last = (chunk.offset + len(chunk) + 7) // 8
    bits = np.unpackbits(np.frombuffer(bitmap, dtype=np.uint8)[first:last], bitorder="little")
    start = chunk.offset - 8 * first
    return bits[start : start + len(chunk)].view(np.bool_)


def _chunks(column: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return column.chunks if hasattr(column, "chunks") else [column]


def _joined(parts: list[NDArray], dtype: np.dtype | type) -> NDArray:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, dtype)
