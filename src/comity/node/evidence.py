"""Evidence over HTTP: a node's checkpoints and proofs, for every party that mutual TLS lets in.

Without the header `comity-ask` nothing here tells what an entry says: a proof holds hashes, and a leaf
commits to a salt of 256 bits. With it, the entries that are about the asking party are opened to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, Header, Path, Query, Response
from fastapi.responses import JSONResponse

from comity.errors import ComityError, VerificationFailed
from comity.ledger.published import HEADER, Ask, published, published_consistency, published_proof
from comity.node.problems import PROBLEMS, problem

if TYPE_CHECKING:
    from comity.node.service import Node

_Number = Annotated[int, Path(ge=0, le=2**53 - 1)]
_Size = Annotated[int | None, Query(ge=0, le=2**53 - 1)]
_Start = Annotated[int, Query(ge=0, le=2**53 - 1)]
_Asker = Annotated[str | None, Header(alias=HEADER, max_length=2_000)]


def evidence_routes(node: Node) -> APIRouter:
    """The routes below `/ledger`."""
    router = APIRouter(prefix="/ledger", responses=PROBLEMS)

    def given(make: Callable[[], dict[str, Any]]) -> Response:
        try:
            return JSONResponse(make())
        except ComityError as error:
            return problem(error)

    def asker(header: str | None) -> str | None:
        if header is None:
            return None
        keys = {card.name: card.key for card in node.folder.peers().values()}
        return Ask.from_header(header).verify({**keys, node.name: node.key.verify_key}, owner=node.name)

    @router.get("/checkpoint", response_model=None)
    def checkpoint(since: _Size = None, start: _Start = 0, ask: _Asker = None) -> Response:
        """The signed head of this party's ledger, its leaf hashes, and what the asking party may read."""
        return given(lambda: published(node.ledger, asker=asker(ask), since=since, start=start))

    @router.get("/proof/{sequence}", response_model=None)
    def proof(sequence: _Number, size: _Size = None, ask: _Asker = None) -> Response:
        """A proof that an entry is in the ledger; the entry too, if it is about the asking party."""
        return given(lambda: published_proof(node.ledger, sequence, asker=asker(ask), size=size))

    @router.get("/consistency/{old}/{new}", response_model=None)
    def consistency(old: _Number, new: _Number) -> Response:
        """A proof that the ledger of the larger size extends that of the smaller one."""
        return given(lambda: published_consistency(node.ledger, old, new))

    @router.post("/countersign", response_model=None)
    def countersign(offered: Annotated[dict[str, Any], Body()], ask: _Asker = None) -> Response:
        """Countersign the asking party's checkpoint, if it extends the last one kept here."""

        def signed() -> dict[str, Any]:
            owner = asker(ask)
            if owner is None:
                raise VerificationFailed(f"the header {HEADER} is missing: who offers a checkpoint says so")
            key = node.folder.peers()[owner].key
            return node.keeper.countersign(offered, owner=owner, owner_key=key).to_dict()

        return given(signed)

    return router
