"""`python -m comity.node.enclave --folder DIR [--host H] [--port P]`: a mediator's node in its enclave.

What the measurement covers should be small: no command line, no questions, no options but these. The party's
key has to be made inside and kept under the enclave's sealing key (`deploy/gramine/` has a manifest).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from comity.errors import ComityError, VerificationFailed

_NAME = "mediator"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m comity.node.enclave", description=__doc__)
    parser.add_argument("--folder", required=True, type=Path, help="the mediator's folder, on a sealed mount")
    parser.add_argument("--name", default=_NAME, help="the party's name, if the folder is new")
    parser.add_argument("--url", default="https://127.0.0.1:8443", help="its address, if the folder is new")
    parser.add_argument("--host", default="0.0.0.0", help="the address to listen on")
    given = parser.parse_args(arguments)
    os.umask(0o077)
    try:
        return _run(given.folder, given.name, given.url, given.host)
    except ComityError as error:
        print(f"comity enclave: {error}", file=sys.stderr)
        return error.exit_code


def _run(path: Path, name: str, url: str, host: str) -> int:
    from comity.node.enclave.mediator import MediatorNode
    from comity.node.enclave.quotes import available_quotes
    from comity.node.folder import PartyFolder
    from comity.node.logs import log_to
    from comity.node.serve import serve
    from comity.node.server import bind

    quotes = available_quotes()
    if quotes is None:
        raise VerificationFailed(
            "this is no enclave (there is no /dev/attestation/quote), so nothing that runs here can be "
            "proved to others; outside one, start the node with: comity node start"
        )
    log_to(sys.stderr)
    new = not (path / "party.json").exists()
    folder = PartyFolder.create(path, name, url) if new else PartyFolder.open(path)
    node = MediatorNode(folder, quotes=quotes)
    listener = bind(host, folder.card().port)
    try:
        serve(node, listener, lambda port: print(f"listens on {host}:{port}", file=sys.stderr, flush=True))
    except KeyboardInterrupt:
        print("has stopped", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
