"""The node's HTTP side: what it offers to the other parties and to its own people, described by OpenAPI."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from comity import __version__
from comity.errors import ComityError
from comity.node.enclave.routes import attestation_routes
from comity.node.evidence import evidence_routes
from comity.node.feedback import feedback_routes
from comity.node.problems import PROBLEMS, problem
from comity.wire import open_message

if TYPE_CHECKING:
    from comity.node.service import Node

MAX_MESSAGE_BYTES = 1024**3
MAX_ORDER_BYTES = 4 * 1024**2
_BINARY: dict[str, Any] = {
    "requestBody": {
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        "required": True,
    }
}


class About(BaseModel):
    """Who answers, with what version, and its clock in UTC."""

    party: str
    version: str
    time: str


def application(node: Node) -> FastAPI:
    """The ASGI application of a node."""
    app = FastAPI(title="comity node", version=__version__, docs_url=None, redoc_url=None)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, _error: RequestValidationError) -> Response:
        return JSONResponse({"code": "bad-input"}, status_code=422)

    @app.exception_handler(HTTPException)
    async def unknown(_request: Request, error: HTTPException) -> Response:
        code = "no-such-route" if error.status_code in (404, 405) else "bad-input"
        return JSONResponse({"code": code}, status_code=error.status_code, headers=error.headers)

    @app.get("/status", responses=PROBLEMS)
    def status() -> About:
        """Whether this party's node is up."""
        return About(
            party=node.name, version=__version__, time=datetime.now(UTC).isoformat(timespec="seconds")
        )

    @app.post(
        "/messages",
        status_code=204,
        response_class=Response,
        response_model=None,
        responses={**PROBLEMS, 204: {"description": "Taken"}},
        openapi_extra=_BINARY,
    )
    async def messages(request: Request) -> Response:
        """Hand over one signed message; the same one again has no effect."""
        body = await _body_of(request, MAX_MESSAGE_BYTES)
        if body is None:
            return JSONResponse({"code": "too-large"}, status_code=413)
        try:
            await run_in_threadpool(node.take, body)
        except ComityError as error:
            return problem(error)
        return Response(status_code=204)

    @app.post(
        "/withdrawals",
        status_code=204,
        response_class=Response,
        response_model=None,
        responses={**PROBLEMS, 204: {"description": "Taken"}},
    )
    def withdrawals(document: dict[str, Any]) -> Response:
        """Hand over a party's signed withdrawal from an agreement."""
        try:
            node.take_withdrawal(document)
        except ComityError as error:
            return problem(error)
        return Response(status_code=204)

    @app.post("/orders", response_model=None, responses=PROBLEMS, openapi_extra=_BINARY)
    async def orders(request: Request) -> Response:
        """An order of this party's own people, signed with its key."""
        body = await _body_of(request, MAX_ORDER_BYTES)
        if body is None:
            return JSONResponse({"code": "too-large"}, status_code=413)
        try:
            return JSONResponse(await run_in_threadpool(node.obey, body))
        except ComityError as error:
            answer = problem(error)
            if not _is_own(node, body):
                return answer
            told = {"code": error.code, "message": str(error), "exit_code": error.exit_code}
            return JSONResponse(told, status_code=answer.status_code)

    app.include_router(evidence_routes(node))
    app.include_router(feedback_routes(node))
    app.include_router(attestation_routes(node))
    return app


async def _body_of(request: Request, most: int) -> bytes | None:
    """The body; None if it is larger than it may be."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)


def _is_own(node: Node, body: bytes) -> bool:
    """Whether the order bears this party's own signature: then its people may read the details."""
    try:
        open_message(body, keys={node.name: node.key.verify_key}, recipient=node.name)
    except ComityError:
        return False
    return True
