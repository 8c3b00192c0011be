"""The routes for operators and tools, mounted beside the prediction routes: /metrics and /docs.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hand_gesture.access import is_authorized
from hand_gesture.exposition import render_metrics


def operation_app(document: Callable[[], dict[str, Any]], metrics_token: str) -> Starlette:
    """Make the application.

    Args:
        document: gives the OpenAPI document.
        metrics_token: what /metrics asks for; empty: nothing.
    """

    async def metrics(request: Request) -> Response:
        if not is_authorized(request.scope["headers"], filter(None, [metrics_token])):
            text = "Send the token of METRICS_TOKEN as Authorization: Bearer TOKEN.\n"
            return PlainTextResponse(text, 401, headers={"WWW-Authenticate": "Bearer"})
        return Response(await run_in_threadpool(render_metrics), media_type=CONTENT_TYPE_LATEST)

    async def docs(_: Request) -> Response:
        return JSONResponse(document())

    return Starlette(routes=[Route("/metrics", metrics), Route("/docs.json", docs)])
