"""A node's quote over HTTP: for every party that mutual TLS lets in, with a question of its own."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse

from comity.errors import ComityError
from comity.node.problems import PROBLEMS, problem

if TYPE_CHECKING:
    from comity.node.service import Node

_Question = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]


def attestation_routes(node: Node) -> APIRouter:
    """The route below `/attestation`."""
    router = APIRouter(prefix="/attestation", responses=PROBLEMS)

    @router.get("/{question}", response_model=None)
    def attestation(question: _Question) -> Response:
        """A quote of the enclave that this node runs in, bound to its party's key and to the question."""
        try:
            quote = node.attestations.own(bytes.fromhex(question))
        except ComityError as error:
            return problem(error)
        return JSONResponse({"quote": base64.b64encode(quote).decode()})

    return router
