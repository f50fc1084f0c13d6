"""`python -m comity.node --party NAME --folder DIR [--host H] [--port P]`: one party's process."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from pathlib import Path

from comity.errors import ComityError

_WARM = (
    "numpy",
    "pyarrow.parquet",
    "pyarrow.compute",
    "scipy.special",
    "sqlalchemy",
    "httpx",
    "uvicorn",
    "starlette.applications",
    "comity.agreement",
    "comity.ledger",
    "comity.gate",
)
_MODELS = ("sklearn.linear_model", "sklearn.ensemble", "sklearn.metrics")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m comity.node", description=__doc__)
    parser.add_argument("--party", required=True, help="this party's name in the agreement")
    parser.add_argument("--folder", required=True, type=Path, help="where its key, tables and ledgers are")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=0, help="the port; 0 takes a free one")
    parser.add_argument("--fits-models", action="store_true", help="load what fits models before it is ready")
    arguments = parser.parse_args()
    os.umask(0o077)
    # Ctrl-C at a terminal reaches the whole group; ending is the starter's business, by closing our input
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        from comity.node.control import Control
        from comity.node.party import Party

        # libraries may print; standard output carries reports alone
        reports = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        party = Party(arguments.party, arguments.folder, host=arguments.host, port=arguments.port)
        control = Control(party, sys.stdin, reports)
        control.listen()
        for module in (*_WARM, *(_MODELS if arguments.fits_models else ())):
            importlib.import_module(module)
        control.serve()
    except ComityError as error:
        print(f"comity node: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
