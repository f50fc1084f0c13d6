"""SPU behind one small module: its settings, its shares as plain bytes, and a run of a program.

Shares go in and out as arrays of words in the layout of `sharing`; SPU's own description of them is written
here and nowhere sent, so nothing that a peer sent is parsed by the engine but the protocol itself.
"""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np

from comity.errors import MissingExtra, PartyFailed
from comity.train.encrypted.program import Compiled
from comity.train.encrypted.settings import BITS
from comity.train.encrypted.sharing import Scheme, Words

_CHUNK: Final = 1 << 27
"""Bytes of a share that SPU takes as one piece."""


def libspu() -> Any:
    """SPU's native module. Its own set-up of logging is left alone: it would write a file where it runs; what
    it prints goes to standard output, which `worker` has turned to its errors.

    Raises:
        MissingExtra: if it is not installed.
    """
    try:
        from spu import libspu as native
    except ImportError:
        raise MissingExtra("training on secret shares", "encrypted") from None
    return native


def runtime_config(scheme: Scheme) -> Any:
    """SPU's settings for a scheme; the same at every party."""
    native = libspu()
    kinds = {"aby3": native.ProtocolKind.ABY3, "cheetah": native.ProtocolKind.CHEETAH}
    config = native.RuntimeConfig(protocol=kinds[scheme.name], field=native.FieldType.FM64)
    config.fxp_fraction_bits = BITS
    # the pool caps native threads per party by this variable; 0 leaves it to the engine
    config.max_concurrency = int(os.environ.get("OMP_NUM_THREADS", "0") or 0)
    return config


class Engine:
    """One compute party's end of a computation on shares."""

    def __init__(self, context: Any, scheme: Scheme) -> None:
        """Raises PartyFailed if the parties' engines do not agree on how to compute."""
        import spu

        self._scheme = scheme
        self._runtime = spu.Runtime(context, runtime_config(scheme))
        self._native = libspu()
        self._held: set[str] = set()

    def put(self, name: str, words: Words, shape: tuple[int, ...]) -> None:
        """Give the engine this party's share.

        Args:
            words: (count, held) as `sharing.held` gives them.
            shape: of the values; its product is count.
        """
        share = self._native.Share()
        share.meta = self._meta(shape)
        raw = np.ascontiguousarray(words, dtype="<u8").tobytes()
        pieces = []
        for start in range(0, max(len(raw), 1), _CHUNK):
            piece = self._native.ValueChunk()
            piece.total_bytes = len(raw)
            piece.chunk_offset = start
            piece.content = raw[start : start + _CHUNK]
            pieces.append(piece.SerializeToString())
        share.share_chunks = pieces
        self._runtime.set_var(name, share)
        self._held.add(name)

    def run(self, program: Compiled) -> None:
        """Run it together with the other compute parties, which have to run the same one.

        Raises:
            PartyFailed: if the engine stops, which it does when another one is gone.
        """
        executable = self._native.Executable(
            name="comity",
            input_names=list(program.inputs),
            output_names=[program.output[0]],
            code=program.code,
        )
        self._held.add(program.output[0])
        try:
            self._runtime.run(executable)
        except RuntimeError as error:
            told = str(error).strip().splitlines()[0][:200]
            raise PartyFailed(f"the engine stopped: {told}", private=True) from None

    def get(self, name: str, shape: tuple[int, ...]) -> Words:
        """(count, held) this party's share of a result.

        Raises:
            PartyFailed: if the engine holds it in another form than a share.
        """
        share = self._runtime.get_var(name)
        if bytes(share.meta) != self._meta(shape):
            raise PartyFailed(f"the engine does not hold '{name}' as a share of {shape} numbers")
        content = bytearray()
        for data in share.share_chunks:
            piece = self._native.ValueChunk()
            piece.ParseFromString(data)
            content += piece.content
        count = int(np.prod(shape, dtype=np.int64))
        words = np.frombuffer(bytes(content), dtype="<u8").astype(np.uint64, copy=False)
        if words.size != count * self._scheme.held:
            raise PartyFailed(f"the engine's share of '{name}' has another size than {shape}")
        return words.reshape(count, self._scheme.held)

    def forget(self) -> None:
        """Drop every share that the engine holds."""
        for name in self._held:
            self._runtime.del_var(name)
        self._held.clear()

    def _meta(self, shape: tuple[int, ...]) -> bytes:
        """SPU's description of a secret fixed-point array of this shape."""
        meta = self._native.ValueMeta()
        meta.data_type = self._native.DataType.DT_F32
        meta.visibility = self._native.Visibility.VIS_SECRET
        meta.shape = list(shape)
        meta.storage_type = self._scheme.storage
        return bytes(meta.SerializeToString())
