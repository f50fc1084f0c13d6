"""Live feedback over HTTP: an ML party's conversation with a provider's node, a question at a time.

`POST /feedback` takes one signed query and answers with the provider's signed release or refusal:

* `open` {"task", "frame"}: both ends mean the same records and the same target.
* `grouping` {"name"} with the part `codes`: the monitor admits it once, before anything is charged.
* `sums` {"questions", "epsilon"}: noisy sums of labels over registered groups, one or many.

`open` and `grouping` are answered with nothing where they are taken. Messages are numbered from 0 in their
conversation; the same one again gets the stored answer's bytes, a changed one is refused. A batch is one plan
with the composed cost of its questions: one charge and one release, however many they are, and it is admitted
whole or not at all.

All that arrives while the last commit is being written is taken through the gate together
(`comity.gate_batch`): what is charged is durable before a label is read, and the answer is stored before it
leaves. After a crash between the two the charge stays; the same message again is charged anew, unless its
answer was released already and is lost: then it is refused, for one plan has one answer.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from comity.errors import ComityError
from comity.node.problems import PROBLEMS, problem

if TYPE_CHECKING:
    from comity.node.desk import Desk
    from comity.node.service import Node

MAX_BYTES: Final = 64 * 1024**2
_BINARY: Final[dict[str, Any]] = {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}


def feedback_routes(node: Node) -> APIRouter:
    """The route `/feedback`."""
    router = APIRouter(responses=PROBLEMS)
    opened: list[Desk] = []

    @router.post(
        "/feedback",
        response_model=None,
        response_class=Response,
        responses={200: {"content": _BINARY["content"]}, 204: {"description": "Taken"}},
        openapi_extra={"requestBody": {**_BINARY, "required": True}},
    )
    async def feedback(request: Request) -> Response:
        """One signed message of a feedback conversation; the same one again gets the same answer."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                return JSONResponse({"code": "too-large"}, status_code=413)
        try:
            if not opened:
                opened.append(await asyncio.to_thread(lambda: node.desk))
            answer = await asyncio.wrap_future(opened[0].ask(bytes(body)))
        except ComityError as error:
            return problem(error)
        if not answer:
            return Response(status_code=204)
        return Response(answer, media_type="application/octet-stream")

    return router
