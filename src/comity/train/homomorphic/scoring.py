"""Both ends of encrypted scoring: encrypt, score, open. docs/homomorphic.md tells it step by step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from comity.crypto.ckks import DecryptionKey, PublicEnd, Scheme
from comity.crypto.ckks_parameters import MOST_CIPHERTEXTS, PARAMETERS, PLACES, require_parameters
from comity.errors import BadInput, ClauseRefused, UsageError
from comity.train.homomorphic.model import LinearModel, ModelKind, probability
from comity.train.homomorphic.precision import STEP_BITS, Precision

Floats = NDArray[np.float64]

MOST_ROWS: Final = 2**20
_PUBLIC: Final = "public"
_ROUNDING: Final = 1e-9


class ProviderKey:
    """The provider's key pair, new each time. The secret half never leaves this object.

    It serves one batch of rows: whoever has the rows' ciphertexts must not be told scores that came of them.
    """

    def __init__(self) -> None:
        self.scheme = Scheme()
        self.pair = DecryptionKey(self.scheme)
        self._used = False

    def use(self) -> None:
        """Take it for a batch of rows.

        Raises:
            UsageError: if it has been taken.
        """
        if self._used:
            raise UsageError("this key has encrypted rows before: make a new ProviderKey for each batch")
        self._used = True


@dataclass(frozen=True)
class EncryptedRows:
    """Rows that only their provider can read, column by column, in blocks of 8,192.

    Attributes:
        rows: how many; the ML party sees this number.
        columns: of each block, one ciphertext per column.
        public: what the answer is encrypted with.
    """

    rows: int
    columns: tuple[tuple[bytes, ...], ...]
    public: bytes

    @property
    def width(self) -> int:
        return len(self.columns[0])

    @property
    def ciphertext_bytes(self) -> int:
        return sum(len(data) for block in self.columns for data in block)

    def to_message(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """A JSON body and binary parts."""
        parts = {f"{at}-{n}": data for at, block in enumerate(self.columns) for n, data in enumerate(block)}
        body = {"parameters": PARAMETERS.to_dict(), "rows": self.rows, "columns": self.width}
        return body, {_PUBLIC: self.public, **parts}

    @classmethod
    def from_message(cls, body: Mapping[str, Any], parts: Mapping[str, bytes], *, columns: int) -> Self:
        """Read what another party sent; ciphertexts are looked at when they are used.

        Args:
            columns: how many the model has.

        Raises:
            BadInput: for other parameters, a number of rows or columns that cannot be, missing or further
                parts, or parts that are too large.
        """
        rows, stated = body.get("rows"), body.get("columns")
        require_parameters(body.get("parameters"))
        if set(body) != {"parameters", "rows", "columns"} or type(rows) is not int or type(stated) is not int:
            raise BadInput("encrypted rows state their parameters, rows and columns, and nothing else")
        if not 1 <= rows <= MOST_ROWS:
            raise BadInput(f"between 1 and {MOST_ROWS:,} rows are scored at a time")
        if stated != columns:
            raise BadInput(f"the encrypted rows have {stated} columns, and the model has {columns}")
        blocks = blocks_of(rows)
        names = [[f"{at}-{n}" for n in range(columns)] for at in range(blocks)]
        if set(parts) != {_PUBLIC, *(name for block in names for name in block)}:
            raise BadInput("the encrypted rows do not come as one part for each column and block")
        return cls(rows, tuple(tuple(parts[name] for name in block) for block in names), parts[_PUBLIC])


@dataclass(frozen=True)
class EncryptedScores:
    """Scores that only the rows' provider can read, some of them in each ciphertext.

    Attributes:
        columns: of the rows that were scored.
        sums: ciphertexts, in the order of `parts_of`.
        precision: the flood that they carry.
        kind, unit: how a score is read.
        any_key: whether a ciphertext tells so few scores that the provider's key may be any.
    """

    rows: int
    columns: int
    sums: tuple[bytes, ...]
    precision: Precision
    kind: ModelKind
    unit: float
    any_key: bool = True

    @property
    def ciphertext_bytes(self) -> int:
        return sum(len(data) for data in self.sums)

    def to_message(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """A JSON body and binary parts."""
        body = {
            "parameters": PARAMETERS.to_dict(),
            "rows": self.rows,
            "columns": self.columns,
            "flood": self.precision.flood_bits,
            "kind": self.kind.value,
            "unit": self.unit,
            "any_key": self.any_key,
        }
        return body, {str(at): data for at, data in enumerate(self.sums)}

    @classmethod
    def from_message(cls, body: Mapping[str, Any], parts: Mapping[str, bytes]) -> Self:
        """Read what another party sent.

        Raises:
            BadInput: if it is no answer under these parameters.
        """
        require_parameters(body.get("parameters"))
        if set(body) != {"parameters", "rows", "columns", "flood", "kind", "unit", "any_key"}:
            raise BadInput(
                "encrypted scores state their parameters, rows, columns, flood, kind, unit and any_key"
            )
        rows, columns, flood, unit = body["rows"], body["columns"], body["flood"], body["unit"]
        if any(type(number) is not int for number in (rows, columns, flood)):
            raise BadInput("encrypted scores state whole numbers of rows, columns and bits of flood")
        if type(unit) not in (int, float) or not 0 < unit < math.inf:
            raise BadInput("encrypted scores state a unit above 0")
        if body["kind"] not in list(ModelKind) or not 1 <= rows <= MOST_ROWS:
            raise BadInput("encrypted scores are of a linear or a logistic model, and of at least one row")
        any_key, precision = body["any_key"], Precision(flood)
        if type(any_key) is not bool:
            raise BadInput("encrypted scores state whether they are told in parts for any key")
        count = sum(map(len, parts_of(rows, precision, any_key=any_key)))
        if set(parts) != {str(at) for at in range(count)}:
            raise BadInput(f"the scores of {rows:,} rows come in {count:,} ciphertexts, and here in others")
        sums = tuple(parts[str(at)] for at in range(count))
        return cls(rows, columns, sums, precision, ModelKind(body["kind"]), float(unit), any_key)


@dataclass(frozen=True)
class Scores:
    """Opened scores.

    Attributes:
        linear: (rows,) weights . row + intercept, off by at most `error`.
        error: in the scores' own unit.
        kind: of the model.
    """

    linear: Floats
    error: float
    kind: ModelKind

    @property
    def probabilities(self) -> Floats:
        """(rows,) the logistic model's probabilities.

        Raises:
            BadInput: if the model is a linear one.
        """
        if self.kind is not ModelKind.logistic:
            raise BadInput("a linear model has no probabilities: read `linear`")
        return probability(self.linear)


def blocks_of(rows: int) -> int:
    """How many blocks of 8,192 rows there are."""
    return -(-rows // PLACES)


def parts_of(rows: int, precision: Precision, *, any_key: bool = True) -> list[list[range]]:
    """For each block of rows, which of its places each ciphertext of scores tells."""
    most = precision.scores_per_ciphertext if any_key else PLACES
    told = (min(PLACES, rows - start) for start in range(0, rows, PLACES))
    return [[range(at, min(at + most, count)) for at in range(0, count, most)] for count in told]


def encrypt_rows(key: ProviderKey, rows: Floats) -> EncryptedRows:
    """The provider's first step.

    Args:
        key: made for these rows.
        rows: (rows, columns) numbers within -1 and 1, such as `PublicColumns.matrix` makes.

    Raises:
        BadInput: if a number is outside, or there are no rows.
        UsageError: if the key has encrypted rows before.
    """
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or not 1 <= len(rows) <= MOST_ROWS or not 1 <= rows.shape[1] <= MOST_CIPHERTEXTS:
        raise BadInput(
            f"what is encrypted is a matrix of 1 to {MOST_ROWS:,} rows and 1 to {MOST_CIPHERTEXTS:,} "
            f"columns, not one of shape {rows.shape}"
        )
    if not (np.abs(rows) <= 1.0 + _ROUNDING).all():
        raise BadInput(
            "a number of the rows is not within -1 and 1: scale columns by public bounds first", private=True
        )
    key.use()
    blocks = [rows[at : at + PLACES] for at in range(0, len(rows), PLACES)]
    columns = tuple(tuple(key.pair.encrypt(np.ascontiguousarray(block.T))) for block in blocks)
    return EncryptedRows(len(rows), columns, key.pair.public)


def score_encrypted(
    model: LinearModel,
    rows: EncryptedRows,
    *,
    allowed: int | None = None,
    precision: Precision | None = None,
    any_key: bool = True,
) -> EncryptedScores:
    """The ML party's step: what comes back tells each row's score with the precision's error, nothing else.

    Args:
        allowed: how many rows may be scored; None: as many as there are. Further places of a block are
            hidden perfectly, so that a provider cannot put more rows in than it says.
        any_key: whether that holds for a crafted key as well (by an estimate, `places_against_any_key`):
            then scores come back in ciphertexts of some 200 each, else in ciphertexts of 8,192.

    Raises:
        ClauseRefused: if there are more rows than are allowed.
        BadInput: if a ciphertext or the public key is none for these parameters.
    """
    precision = precision or Precision()
    if allowed is not None and rows.rows > allowed:
        raise ClauseRefused(
            "more rows than may be scored",
            clause="architectures.homomorphic.queries",
            asked=f"{rows.rows:,} rows",
            left=f"{max(0, allowed):,}",
        )
    if rows.width != len(model.weights):
        raise BadInput(f"the rows have {rows.width} columns, and the model has {len(model.weights)}")
    end = PublicEnd(Scheme(), rows.public)
    weights, intercept = model.steps()
    sums = tuple(
        data
        for block, told in zip(rows.columns, parts_of(rows.rows, precision, any_key=any_key), strict=True)
        for data in end.weighted(block, weights, intercept, told=told, flood_bits=precision.flood_bits)
    )
    return EncryptedScores(rows.rows, rows.width, sums, precision, model.kind, model.unit, any_key)


def open_scores(key: ProviderKey, scores: EncryptedScores) -> Scores:
    """The provider's last step.

    Raises:
        BadInput: if a ciphertext is none for these parameters.
    """
    blocks = parts_of(scores.rows, scores.precision, any_key=scores.any_key)
    told = (part for block in blocks for part in block)
    opened = np.concatenate(
        [key.pair.decrypt(data, part) for data, part in zip(scores.sums, told, strict=True)]
    )
    linear = opened / 2.0**STEP_BITS * scores.unit
    return Scores(linear, scores.precision.error(scores.columns) * scores.unit, scores.kind)


def measured_error(model: LinearModel, rows: Floats, precision: Precision | None = None) -> dict[str, Any]:
    """Errors of scores against plaintext, by a round trip over one's own rows under a key of one's own.

    Returns:
        `max` and `rms` absolute error of the scores, `bound` on it, and how many `rows` were scored.
    """
    key = ProviderKey()
    sent = encrypt_rows(key, rows)
    opened = open_scores(key, score_encrypted(model, sent, precision=precision, any_key=False))
    off = opened.linear - model.plain(rows)
    return {
        "max": float(np.abs(off).max()),
        "rms": float(np.sqrt(np.mean(off**2))),
        "bound": opened.error,
        "rows": len(rows),
    }


def require_answer(scores: EncryptedScores, rows: EncryptedRows, precision: Precision) -> None:
    """Refuse an answer about other rows, or with another precision, than what was asked for.

    Raises:
        BadInput: if it is one.
    """
    if (scores.rows, scores.columns) != (rows.rows, rows.width):
        raise BadInput(f"{scores.rows:,} scores came back for {rows.rows:,} rows")
    if scores.precision != precision:
        raise BadInput(
            f"the scores came back with an error of {scores.precision.flood_error:g} units, and the "
            f"agreement says {precision.flood_error:g}"
        )
