"""Weighted sums of encrypted numbers (CKKS; Cheon, Kim, Kim and Song 2017) by way of SEAL, with one set of
parameters: ring degree 8,192 and three primes of 60 bits, of which ciphertexts use two (120 bits).

One ciphertext holds 8,192 *places*: a column's numbers as the coefficients of its polynomial, not in CKKS's
slots. A weighted sum needs no product between places, so this holds twice as many numbers, and a place can be
masked exactly where a slot cannot.

Whoever weighs somebody else's ciphertexts gives its weights away to the holder of the key unless it hides
them (circuit privacy). `PublicEnd.weighted` does so:

* A fresh encryption of zero makes the second half of the ciphertext new. The public key comes as a seed and
  one polynomial: its random half is the output of a hash.
* The first half is flooded: every place gets a uniform error of 2^`flood_bits` either way, where all that the
  encryption's own errors can leave is below 2^39 (`NOISE_BITS`; SEAL's errors are whole numbers of at most 21
  and the weights add up to at most 2^34). `flood_distance` says how close that is to nothing.
* Places beyond those that are told get a uniform number modulo the modulus, which hides them perfectly,
  whatever was encrypted in them.
* One sum may be told in parts: a ciphertext for each range of places, each with a fresh zero of its own.
* Work and time do not depend on the weights: each is moved by the same constant, which is taken off the sum.

So a place that is told says the weighted sum with the flood's error, and never more than `place_bits` bits,
whatever was encrypted. Who crafts the errors of its public key can make places tell how the zero was
encrypted instead. Where a ciphertext tells few places that is too little to undo it
(`places_against_any_key`); where it tells many, it tells the weights, and nobody can see that from outside.

Decryptions of CKKS hold the key's errors and reveal the key to who sees both them and the ciphertexts (Li and
Micciancio 2021). `DecryptionKey.decrypt` floods by as much again before it decrypts.
"""

from __future__ import annotations

import math
import os
import struct
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.crypto.ckks_parameters import (
    LEAST_FLOOD_BITS,
    LIFT_BITS,
    MOST_CIPHERTEXTS,
    MOST_FLOOD_BITS,
    PARAMETERS,
    PLACES,
    WEIGHT_BITS,
)
from comity.errors import BadInput, MissingExtra

_HEADER: Final = struct.Struct("<HBBBBHQ")
_MAGIC: Final = 0xA15E
_PLAIN_MODE, _ZSTD_MODE = 0, 2
_METADATA = 97
_SEED = 81

Floats = NDArray[np.float64]


class Scheme:
    """The parameters. Both ends make their own: no context is ever taken from another party."""

    def __init__(self) -> None:
        try:
            self._seal: Any = import_module("tenseal.sealapi")
        except ImportError:
            raise MissingExtra("homomorphic scoring", "homomorphic") from None
        seal = self._seal
        level = seal.SEC_LEVEL_TYPE.TC128
        parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
        parameters.set_poly_modulus_degree(PLACES)
        moduli = seal.CoeffModulus.Create(PLACES, list(PARAMETERS.bits))
        parameters.set_coeff_modulus(moduli)
        self._context = seal.SEALContext(parameters, True, level)
        if not self._context.parameters_set():
            raise BadInput("the homomorphic library does not accept the parameters of 128-bit security")
        self._encoder = seal.CKKSEncoder(self._context)
        self._moduli = [int(each.value()) for each in moduli][:-1]
        words = len(self._moduli) * PLACES * 8
        self._size = {
            "column": _METADATA + words + _SEED,
            "public key": _METADATA + words + PLACES * 8 + _SEED,
            "sum": _METADATA + 2 * words,
        }
        self._version = self._own_version()

    def _own_version(self) -> tuple[int, int]:
        """What the library writes into its headers; what comes from elsewhere has to say the same."""
        with folder() as path:
            self._seal.Plaintext().save(str(path / "item"))
            written = (path / "item").read_bytes()
        return _HEADER.unpack_from(written)[2:4]

    @property
    def library(self) -> tuple[Any, Any]:
        """The library's module, and its context of these parameters."""
        return self._seal, self._context

    def most_bytes(self, kind: str) -> int:
        """The largest that a `column`, a `public key` or a `sum` is on its way: SEAL's zstd adds a little."""
        return self._size[kind] + self._size[kind] // 128 + 1024

    def encoded(self, values: Floats) -> Any:
        """A plaintext whose coefficients are these up to 8,192 numbers, times 2^84."""
        plain = self._seal.Plaintext()
        self._encoder.encode(_slots_of(values).tolist(), 2.0**LIFT_BITS, plain)
        return plain

    def factor(self, value: int) -> Any:
        """A plaintext that multiplies every place by a whole number below 2^53."""
        plain = self._seal.Plaintext()
        self._encoder.encode(float(value), 1.0, plain)
        return plain

    def decoded(self, plain: Any) -> Floats:
        """(PLACES,) the coefficients of a plaintext, over 2^84."""
        return _places_of(np.array(self._encoder.decode_complex(plain), dtype=np.complex128))

    def plain_bytes(self, kind: str, data: bytes) -> bytes:
        """A stranger's `column`, `public key` or `sum` as the library's own bytes, uncompressed.

        Its sizes are checked before the library sees it. A column and a public key have to come with the seed
        of their random half.

        Raises:
            BadInput: if it is none.
        """
        import pyarrow as pa

        fault = BadInput(f"this is no {kind} for the encryption parameters in use")
        if not isinstance(data, bytes) or not _HEADER.size < len(data) <= self.most_bytes(kind):
            raise fault
        magic, head, major, minor, mode, _, size = _HEADER.unpack_from(data)
        known = magic == _MAGIC and head == _HEADER.size and mode in (_PLAIN_MODE, _ZSTD_MODE)
        if not known or size != len(data) or (major, minor) != self._version:
            raise fault
        body = data[_HEADER.size :]
        if mode == _ZSTD_MODE:
            try:
                stream = pa.CompressedInputStream(pa.BufferReader(body), "zstd")
                body = bytes(stream.read(self._size[kind] + 1))
            except (OSError, pa.ArrowException):
                raise fault from None
        if len(body) != self._size[kind]:
            raise fault
        return self._with_header(body)

    def _with_header(self, body: bytes) -> bytes:
        size = _HEADER.size + len(body)
        return _HEADER.pack(_MAGIC, _HEADER.size, *self._version, _PLAIN_MODE, 0, size) + body

    def load(self, kind: str, data: bytes, folder: Path) -> Any:
        """The library's object out of a stranger's bytes.

        Raises:
            BadInput: if it is none for these parameters.
        """
        path = folder / "read"
        path.write_bytes(self.plain_bytes(kind, data))
        item = self._seal.PublicKey() if kind == "public key" else self._seal.Ciphertext()
        fault = BadInput(f"this is no {kind} for the encryption parameters in use")
        try:
            item.load(self._context, str(path))
        except (RuntimeError, ValueError):
            raise fault from None
        if kind == "public key":
            return item
        fits = item.size() == 2 and item.parms_id() == self._context.first_parms_id()
        if not fits or item.is_ntt_form() != (kind == "column") or item.scale != 2.0**LIFT_BITS:
            raise fault
        return item

    def moved(self, data: bytes, added: Sequence[int], told: range) -> bytes:
        """A sum as bytes, whole numbers added to some of its places and the others hidden.

        Args:
            data: a `sum`, as the library writes it or as it came.
            added: a whole number of any size for each place that is told, added modulo the modulus.
            told: the places that keep their meaning; the others become uniform.
        """
        body = self.plain_bytes("sum", data)[_HEADER.size :]
        words = np.frombuffer(body[_METADATA:], dtype="<u8").reshape(2, len(self._moduli), PLACES).copy()
        for at, modulus in enumerate(self._moduli):
            residues = np.array([number % modulus for number in added], dtype=np.uint64)
            kept = (words[0, at, told.start : told.stop] + residues) % np.uint64(modulus)
            words[0, at] = uniform_below(modulus, PLACES)
            words[0, at, told.start : told.stop] = kept
        return self._with_header(body[:_METADATA] + words.astype("<u8").tobytes())


class DecryptionKey:
    """A key pair; the secret half stays in this process' memory.

    Attributes:
        public: what `PublicEnd` needs, in bytes.
    """

    def __init__(self, scheme: Scheme) -> None:
        seal, context = scheme.library
        generator = seal.KeyGenerator(context)
        secret = generator.secret_key()
        self._scheme = scheme
        self._encryptor = seal.Encryptor(context, secret)
        self._decryptor = seal.Decryptor(context, secret)
        self._evaluator = seal.Evaluator(context)
        with folder() as path:
            # a public key is an encryption of zero; made like this it carries the seed of its random half
            self._encryptor.encrypt_zero_symmetric(context.key_parms_id()).save(str(path / "item"))
            self.public = (path / "item").read_bytes()

    def encrypt(self, columns: Iterable[Floats]) -> Iterator[bytes]:
        """Each column of up to 8,192 finite numbers as bytes: one polynomial and a seed."""
        with folder() as path:
            for column in columns:
                self._encryptor.encrypt_symmetric(self._scheme.encoded(column)).save(str(path / "item"))
                yield (path / "item").read_bytes()

    def decrypt(self, data: bytes, told: range = range(PLACES)) -> Floats:
        """(places,) a sum in units of number times weight, flooded once more before it is decrypted.

        Args:
            told: the places that are read; the others are hidden first.

        Raises:
            BadInput: if it is none.
        """
        own = self._scheme.moved(data, flood(LEAST_FLOOD_BITS, len(told)), told)
        with folder() as path:
            cipher = self._scheme.load("sum", own, path)
        self._evaluator.transform_to_ntt_inplace(cipher)
        plain = self._scheme.library[0].Plaintext()
        self._decryptor.decrypt(cipher, plain)
        return self._scheme.decoded(plain)[told.start : told.stop]


class PublicEnd:
    """What whoever has the public key can do."""

    def __init__(self, scheme: Scheme, public: bytes) -> None:
        seal, context = scheme.library
        self._scheme = scheme
        with folder() as path:
            self._encryptor = seal.Encryptor(context, scheme.load("public key", public, path))
        self._evaluator = seal.Evaluator(context)

    def weighted(
        self,
        columns: Sequence[bytes],
        weights: Sequence[int],
        added: int,
        *,
        told: Sequence[range],
        flood_bits: int = LEAST_FLOOD_BITS,
    ) -> list[bytes]:
        """Encrypts, place by place, the sum of columns times weights, plus `added`; tells nothing else.

        Args:
            columns: 1 to 4,096 of them, as `DecryptionKey.encrypt` makes them.
            weights: a whole number for each; their absolute values and `added`'s add up to at most 2^34.
            added: a whole number, in the weights' units.
            told: for each ciphertext that comes back the places that it tells, one after another; the others
                are hidden perfectly.
            flood_bits: `LEAST_FLOOD_BITS` to `MOST_FLOOD_BITS`.
        """
        if len(columns) != len(weights) or not 1 <= len(columns) <= MOST_CIPHERTEXTS:
            raise BadInput(f"between 1 and {MOST_CIPHERTEXTS} columns are added up, with a weight for each")
        if sum(abs(weight) for weight in (*weights, added)) > 2**WEIGHT_BITS:
            raise BadInput(f"the weights add up to more than 2^{WEIGHT_BITS}", private=True)
        fits = all(part.step == 1 and 0 <= part.start <= part.stop <= PLACES for part in told)
        if not LEAST_FLOOD_BITS <= flood_bits <= MOST_FLOOD_BITS or not fits:
            raise BadInput(
                f"a flood has {LEAST_FLOOD_BITS} to {MOST_FLOOD_BITS} bits, and up to {PLACES} places are "
                "told"
            )
        lifted = added << LIFT_BITS
        zero = self._scheme.encoded(np.zeros(1))
        with folder() as path:
            above, below = self._sums(columns, weights, path)
            return [
                self._scheme.moved(
                    self._fresh(zero, above, below, path),
                    [lifted + error for error in flood(flood_bits, len(part))],
                    part,
                )
                for part in told
            ]

    def _sums(self, columns: Sequence[bytes], weights: Sequence[int], path: Path) -> tuple[Any, Any]:
        """The sum of (weight + K) times column, and K times the sum of the columns."""
        scheme, seal, constant = self._scheme, self._scheme.library[0], 2 ** (WEIGHT_BITS + 1)
        above, plain = None, None
        for data, weight in zip(columns, weights, strict=True):
            column, product = scheme.load("column", data, path), seal.Ciphertext()
            self._evaluator.multiply_plain(column, scheme.factor(weight + constant), product)
            if above is None:
                above, plain = product, column
            else:
                self._evaluator.add_inplace(above, product)
                self._evaluator.add_inplace(plain, column)
        below = seal.Ciphertext()
        self._evaluator.multiply_plain(plain, scheme.factor(constant), below)
        return above, below

    def _fresh(self, zero: Any, above: Any, below: Any, path: Path) -> bytes:
        """The difference of both sums as bytes, with the zero encrypted anew for it."""
        total = self._scheme.library[0].Ciphertext()
        self._encryptor.encrypt(zero, total)
        self._evaluator.add_inplace(total, above)
        self._evaluator.sub_inplace(total, below)
        self._evaluator.transform_from_ntt_inplace(total)
        total.save(str(path / "item"))
        return (path / "item").read_bytes()


def flood(bits: int, count: int) -> list[int]:
    """Uniform whole numbers from -2^bits up to 2^bits, from the operating system's randomness."""
    width = (bits + 8) // 8
    spare = 8 * width - (bits + 1)
    drawn = os.urandom(width * count)
    return [
        (int.from_bytes(drawn[at : at + width], "little") >> spare) - (1 << bits)
        for at in range(0, len(drawn), width)
    ]


def uniform_below(modulus: int, count: int) -> NDArray[np.uint64]:
    """(count,) uniform whole numbers from 0 up to the modulus, from the operating system's randomness."""
    found = np.empty(0, dtype=np.uint64)
    mask = np.uint64((1 << modulus.bit_length()) - 1)
    while len(found) < count:
        drawn = np.frombuffer(os.urandom(8 * count), dtype="<u8") & mask
        found = np.concatenate([found, drawn[drawn < np.uint64(modulus)]])
    return found[:count]


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for ciphertexts on their way: the library writes to files only."""
    with tempfile.TemporaryDirectory(prefix="comity-ckks-") as path:
        yield Path(path)


def _roots() -> tuple[Floats, NDArray[np.int64]]:
    """The angles of the twist that makes odd powers of the root into a Fourier transform, and which of its
    outputs are SEAL's slots: slot i is the polynomial's value at the 3^i-th power of exp(i pi / PLACES)."""
    power, order = 1, np.empty(PLACES // 2, dtype=np.int64)
    for at in range(PLACES // 2):
        order[at] = (power - 1) // 2
        power = power * 3 % (2 * PLACES)
    return math.pi * np.arange(PLACES) / PLACES, order


def _slots_of(values: Floats) -> NDArray[np.complex128]:
    """The slots of the polynomial with these coefficients."""
    if values.ndim != 1 or len(values) > PLACES or not np.isfinite(values).all():
        raise BadInput(f"a ciphertext holds up to {PLACES} finite numbers")
    angles, order = _roots()
    spread = np.zeros(PLACES)
    spread[: len(values)] = values
    return (np.fft.ifft(spread * np.exp(1j * angles)) * PLACES)[order]


def _places_of(slots: NDArray[np.complex128]) -> Floats:
    """The coefficients of the polynomial with these slots: the inverse of `_slots_of`."""
    angles, order = _roots()
    powers = np.empty(PLACES, dtype=np.complex128)
    powers[order] = slots
    powers[PLACES - 1 - order] = np.conj(slots)
    return np.real(np.fft.fft(powers) / PLACES * np.exp(-1j * angles))
