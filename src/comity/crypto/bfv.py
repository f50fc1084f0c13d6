"""Sums of encrypted whole numbers (BFV; Fan and Vercauteren 2012) by way of SEAL, with one set of parameters.

Ring degree 8,192 and SEAL's default coefficient modulus for it (218 bits, of which ciphertexts use 174):
128-bit security by the tables of the homomorphic encryption standard, which SEAL checks. A plaintext is 8,192
slots modulo a prime of 42 bits, which is 1 modulo 16,384 so that the slots exist.

Whoever multiplies somebody else's ciphertexts by its own numbers and returns them gives these away to the
holder of the key unless it hides them (circuit privacy). `PublicEnd.weighted` does so: both factors of every
product are uniform words whose difference is the number, so that its work does not depend on it either; a
fresh encryption makes the second half of the ciphertext new; and the first half is flooded with a uniform
error of 2^129 where the largest that the products can leave is 2^74 at 64 ciphertexts, so that what is
decrypted, error included, is within `flood_distance` of a distribution that does not depend on the numbers.
Results of several parties that are to be added up are flooded by so much less that their sum has the error of
one: there is room for no more.
That holds for a key and ciphertexts that were made as they should be: see `comity.validate.blind_bfv`.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, MissingExtra

SLOTS: Final = 8192
PLAIN_BITS: Final = 42
MOST_SUMMANDS: Final = 64
MOST_PARTIES: Final = 256

_FLOOD_BITS: Final = 129
_FRESH_BITS: Final = 13
"""A fresh ciphertext's error, e1 + u e + s e2 with u and s of -1, 0 and 1, is below 2^13 but with probability
10^-80: each coefficient is a sum of 2 N + 1 = 16,385 errors of deviation 3.2, so of deviation 410 at most."""
_HEADER: Final = struct.Struct("<HBBBBHQ")
_MAGIC: Final = 0xA15E

Slots = NDArray[np.int64]


def flood_distance(ciphertexts: int, summands: int, parties: int = 1) -> float:
    """By how much, in total variation, flooded results differ from ones that do not depend on the numbers.

    Args:
        ciphertexts: how many results.
        summands: how many products each is the sum of.
        parties: whose results are added up.
    """
    largest = summands * 2.0 * SLOTS * 2.0 ** (PLAIN_BITS - 1) * 2.0**_FRESH_BITS
    return min(1.0, ciphertexts * SLOTS * largest / 2.0 ** (_flood_bits(parties) + 1))


def _flood_bits(parties: int) -> int:
    """So many that as many floods as there are parties add up to no more than 2^129 either way."""
    if not 1 <= parties <= MOST_PARTIES:
        raise BadInput(f"encrypted sums are of 1 to {MOST_PARTIES} parties, not {parties}")
    return _FLOOD_BITS - (parties - 1).bit_length()


class Scheme:
    """The parameters. Both ends make their own, so that nobody brings weaker ones.

    Attributes:
        plain_modulus: slots are whole numbers from 0 up to it.
    """

    def __init__(self) -> None:
        try:
            self._seal: Any = import_module("tenseal.sealapi")
        except ImportError:
            raise MissingExtra("homomorphic counts", "homomorphic") from None
        seal = self._seal
        level = seal.SEC_LEVEL_TYPE.TC128
        parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV)
        parameters.set_poly_modulus_degree(SLOTS)
        moduli = seal.CoeffModulus.BFVDefault(SLOTS, level)
        parameters.set_coeff_modulus(moduli)
        modulus = seal.PlainModulus.Batching(SLOTS, PLAIN_BITS)
        parameters.set_plain_modulus(modulus)
        self._context = seal.SEALContext(parameters, True, level)
        self._encoder = seal.BatchEncoder(self._context)
        self.plain_modulus = int(modulus.value())
        self._moduli = [int(each.value()) for each in moduli][:-1]
        if not self._context.parameters_set() or self._encoder.slot_count() != SLOTS:
            raise BadInput("the homomorphic library does not accept the parameters of 128-bit security")

    def encoded(self, values: Slots) -> Any:
        """A plaintext of up to `SLOTS` whole numbers, taken modulo the plain modulus."""
        if values.ndim != 1 or len(values) > SLOTS:
            raise BadInput(f"a plaintext has up to {SLOTS} slots")
        plain = self._seal.Plaintext()
        self._encoder.encode(np.mod(values, self.plain_modulus).astype(np.uint64).tolist(), plain)
        return plain

    def decoded(self, plain: Any) -> Slots:
        return np.array(self._encoder.decode_uint64(plain), dtype=np.int64)

    def written(self, item: Any) -> bytes:
        """A ciphertext or public key as bytes."""
        with tempfile.TemporaryDirectory(prefix="comity-bfv-") as folder:
            path = Path(folder) / "item"
            item.save(str(path))
            return path.read_bytes()

    def read(self, kind: str, data: bytes) -> Any:
        """A `Ciphertext` or `PublicKey` out of `written`'s bytes, from a stranger.

        Raises:
            BadInput: if it is none for these parameters.
        """
        item = getattr(self._seal, kind)()
        with tempfile.TemporaryDirectory(prefix="comity-bfv-") as folder:
            path = Path(folder) / "item"
            path.write_bytes(data)
            try:
                item.load(self._context, str(path))
            except (RuntimeError, ValueError):
                raise BadInput("this is no ciphertext or key for the parameters in use") from None
        if kind == "Ciphertext" and (item.size() != 2 or item.coeff_modulus_size() != len(self._moduli)):
            raise BadInput("a ciphertext has two halves, at the level that it was encrypted at")
        return item

    def flooded(self, cipher: Any, parties: int = 1) -> bytes:
        """A ciphertext as bytes, its first half moved by a uniform error within 2^129 either way, or by that
        over the number of parties whose results are added up."""
        bits = _flood_bits(parties)
        head, body = self._opened(self.written(cipher))
        words = np.frombuffer(body, dtype="<u8").reshape(2, len(self._moduli), SLOTS).copy()
        width = (bits + 8) // 8
        drawn = os.urandom(width * SLOTS)
        spare = 8 * width - (bits + 1)
        errors = [
            (int.from_bytes(drawn[at : at + width], "little") >> spare) - (1 << bits)
            for at in range(0, len(drawn), width)
        ]
        for at, modulus in enumerate(self._moduli):
            residues = np.array([error % modulus for error in errors], dtype=np.uint64)
            words[0, at] = (words[0, at] + residues) % np.uint64(modulus)
        data = head + words.astype("<u8").tobytes()
        return _HEADER.pack(_MAGIC, _HEADER.size, *self._version, 0, 0, _HEADER.size + len(data)) + data

    def _opened(self, data: bytes) -> tuple[bytes, bytes]:
        """A ciphertext's own bytes: what stands before its words, and the words."""
        import pyarrow as pa

        magic, _, major, minor, mode, _, _ = _HEADER.unpack_from(data)
        self._version = (major, minor)
        body = data[_HEADER.size :]
        if mode == 2:
            body = pa.CompressedInputStream(pa.BufferReader(body), "zstd").read()
        size = 2 * len(self._moduli) * SLOTS * 8
        if magic != _MAGIC or mode not in (0, 2) or len(body) < size:
            raise BadInput("the homomorphic library writes ciphertexts in a form that is not known here")
        return bytes(body[: len(body) - size]), bytes(body[len(body) - size :])

    @property
    def library(self) -> tuple[Any, Any]:
        """The library's module, and its context of these parameters."""
        return self._seal, self._context


class DecryptionKey:
    """A key pair; the secret half stays in this process' memory."""

    def __init__(self, scheme: Scheme) -> None:
        seal, context = scheme.library
        generator = seal.KeyGenerator(context)
        public = seal.PublicKey()
        generator.create_public_key(public)
        self._scheme = scheme
        self._decryptor = seal.Decryptor(context, generator.secret_key())
        self.public = scheme.written(public)

    def decrypt(self, cipher: bytes) -> Slots:
        """(SLOTS,) whole numbers from 0 up to the plain modulus.

        Raises:
            BadInput: if it is no ciphertext.
        """
        plain = self._scheme.library[0].Plaintext()
        self._decryptor.decrypt(self._scheme.read("Ciphertext", cipher), plain)
        return self._scheme.decoded(plain)

    def margin_bits(self, cipher: bytes) -> int:
        """How many bits of room the error has; 0 means that it cannot be decrypted."""
        return int(self._decryptor.invariant_noise_budget(self._scheme.read("Ciphertext", cipher)))


class PublicEnd:
    """What whoever has the public key can do."""

    def __init__(self, scheme: Scheme, public: bytes) -> None:
        seal, context = scheme.library
        self._scheme = scheme
        self._encryptor = seal.Encryptor(context, scheme.read("PublicKey", public))
        self._evaluator = seal.Evaluator(context)

    def encrypt(self, values: Slots) -> bytes:
        return self._scheme.written(self._encrypted(values))

    def _encrypted(self, values: Slots) -> Any:
        cipher = self._scheme.library[0].Ciphertext()
        self._encryptor.encrypt(self._scheme.encoded(values), cipher)
        return cipher

    def weighted(
        self, ciphers: Sequence[bytes], values: Sequence[Slots], added: Slots, *, parties: int = 1
    ) -> bytes:
        """Encrypts, slot by slot, the sum of ciphertexts times values, plus `added`; tells nothing else.

        Args:
            ciphers: 1 to 64.
            values: whole numbers for each, private to the caller.
            added: (SLOTS,) whole numbers.
            parties: how many parties' results are then added up.
        """
        if len(ciphers) != len(values) or not 1 <= len(ciphers) <= MOST_SUMMANDS:
            raise BadInput(f"between 1 and {MOST_SUMMANDS} ciphertexts are added up, with values for each")
        scheme, modulus = self._scheme, self._scheme.plain_modulus
        total = self._encrypted(added)
        for data, own in zip(ciphers, values, strict=True):
            cipher = scheme.read("Ciphertext", data)
            blind = uniform_slots(modulus)
            spread = np.zeros(SLOTS, dtype=np.int64)
            spread[: len(own)] = own
            for sign, factor in ((1, spread + blind), (-1, blind)):
                product = scheme.library[0].Ciphertext()
                self._evaluator.multiply_plain(cipher, scheme.encoded(factor), product)
                (self._evaluator.add_inplace if sign > 0 else self._evaluator.sub_inplace)(total, product)
        return scheme.flooded(total, parties)

    def added(self, ciphers: Sequence[bytes], values: Slots) -> bytes:
        """Encrypts, slot by slot, the sum of flooded ciphertexts plus values, without the secret key.

        Args:
            ciphers: as `weighted` returns them, with as many parties as there are here.
            values: (SLOTS,) whole numbers.
        """
        if not 1 <= len(ciphers) <= MOST_PARTIES:
            raise BadInput(f"between 1 and {MOST_PARTIES} parties' ciphertexts are added up")
        total = self._encrypted(values)
        for data in ciphers:
            self._evaluator.add_inplace(total, self._scheme.read("Ciphertext", data))
        return self._scheme.written(total)


def uniform_slots(modulus: int) -> Slots:
    """(SLOTS,) uniform whole numbers from 0 up to the modulus, from the operating system's randomness."""
    found = np.empty(0, dtype=np.int64)
    mask = np.uint64((1 << modulus.bit_length()) - 1)
    while len(found) < SLOTS:
        drawn = (np.frombuffer(os.urandom(8 * SLOTS), dtype="<u8") & mask).astype(np.int64)
        found = np.concatenate([found, drawn[drawn < modulus]])
    return found[:SLOTS]


def uniform_with_sum(total: int, modulus: int) -> Slots:
    """(SLOTS,) uniform among the vectors that add up to `total` modulo the modulus."""
    slots = uniform_slots(modulus)
    # 8,191 numbers below 2^42 add up to less than 2^55
    slots[-1] = (total - int(slots[:-1].sum())) % modulus
    return slots
