"""Which records two providers both hold: private set intersection by SPU (RR22, Raghuraman and Rindal 2022).

Plain PSI discloses membership: both ends get the common ids, so that both can put their columns in one order
(`broadcast_result`), and learn how many ids the other has. spu.psi reads and writes files only and sorts them
with the system's programs: they hold hashes of ids under a key of the two parties (HMAC), lie in a folder of
the engine's process, and go with it.
"""

from __future__ import annotations

import hmac
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from comity.errors import BadTable, MissingExtra, PartyFailed

PARTIES: Final = 2
_COLUMN: Final = "id"
_TRACES: Final = Path(os.sep) / "tmp"


def hashed(ids: Sequence[str], salt: bytes) -> dict[str, str]:
    """By hash (HMAC-SHA256; 64 hexadecimal digits, which CSV leaves as they are): the id.

    Raises:
        BadTable: if an id stands there twice; it is the holder's own.
    """
    found = {hmac.digest(salt, id_.encode(), "sha256").hex(): id_ for id_ in ids}
    if len(found) != len(ids):
        raise BadTable("an id stands in the table twice: records are aligned by ids that are unique")
    return found


def common_ids(ids: Sequence[str], salt: bytes, context: Any) -> list[str]:
    """The ids that the other end of the connection has as well, in an order that both ends share.

    Args:
        ids: this party's.
        salt: the same at both ends, and nobody else's: hashes without it say nothing to who lists all ids.
        context: libspu's connection of the two.

    Raises:
        PartyFailed: if the other one stops.
    """
    try:
        from spu import psi
    except ImportError:
        raise MissingExtra("private set intersection", "encrypted") from None
    known = hashed(ids, salt)
    with tempfile.TemporaryDirectory(prefix="comity-") as folder:
        own, both = Path(folder) / "own.csv", Path(folder) / "both.csv"
        own.write_text("\n".join([_COLUMN, *known]) + "\n", encoding="ascii")
        config = psi.PsiExecuteConfig(
            protocol_conf=psi.PsiProtocolConfig(
                protocol=psi.PsiProtocol.PROTOCOL_RR22, receiver_rank=0, broadcast_result=True
            ),
            input_params=psi.InputParams(
                type=psi.SourceType.SOURCE_TYPE_FILE_CSV,
                path=str(own),
                selected_keys=[_COLUMN],
                keys_unique=True,
            ),
            output_params=psi.OutputParams(type=psi.SourceType.SOURCE_TYPE_FILE_CSV, path=str(both)),
        )
        started = time.time()
        try:
            psi.psi_execute(config, context)
        except RuntimeError as error:
            told = str(error).strip().splitlines()[0][:200]
            raise PartyFailed(f"the intersection stopped: {told}", private=True) from None
        finally:
            _remove_traces(since=started)
        lines = both.read_text(encoding="ascii").splitlines()[1:]
    return [known[line.strip('"')] for line in sorted(lines)]


def _remove_traces(*, since: float) -> None:
    """spu.psi writes how long its steps took into the system's folder for temporary files, wherever it is
    told to put its others: that goes too."""
    for path in _TRACES.glob("psi_*.trace"):
        try:
            facts = path.stat()
            if facts.st_uid == os.getuid() and facts.st_mtime >= since - 1:
                path.unlink()
        except OSError:
            continue  # another engine's, which has removed it
