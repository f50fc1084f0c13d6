"""Evidence over HTTP: a node's checkpoints and proofs, for every party that mutual TLS lets in.

Nothing here tells what an entry says: a proof holds hashes, and a leaf commits to a salt of 256 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse

from comity.errors import ComityError
from comity.node.problems import PROBLEMS, problem

if TYPE_CHECKING:
    from comity.node.service import Node

_Number = Annotated[int, Path(ge=0, le=2**53 - 1)]


def evidence_routes(node: Node) -> APIRouter:
    """The routes below `/ledger`."""
    router = APIRouter(prefix="/ledger", responses=PROBLEMS)

    def given(make: Callable[[], Any]) -> Response:
        try:
            return JSONResponse(make().to_dict())
        except ComityError as error:
            return problem(error)

    @router.get("/checkpoint", response_model=None)
    def checkpoint() -> Response:
        """The signed head of this party's ledger."""
        return given(node.ledger.checkpoint)

    @router.get("/inclusion/{sequence}", response_model=None)
    def inclusion(sequence: _Number) -> Response:
        """A proof that an entry is in the ledger under its latest checkpoint."""
        return given(lambda: node.ledger.inclusion(sequence))

    @router.get("/consistency/{old_size}", response_model=None)
    def consistency(old_size: _Number) -> Response:
        """A proof that the ledger of this size is a beginning of the present one."""
        return given(lambda: node.ledger.consistency(old_size))

    return router
