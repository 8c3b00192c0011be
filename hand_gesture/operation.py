"""The routes for operators and tools, mounted beside the prediction routes: /metrics and /docs.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hand_gesture.metrics import render_metrics


def operation_app(document: Callable[[], dict[str, Any]]) -> Starlette:
    """Make the application.

    Args:
        document: gives the OpenAPI document.
    """

    async def metrics(_: Request) -> Response:
        return Response(await run_in_threadpool(render_metrics), media_type=CONTENT_TYPE_LATEST)

    async def docs(_: Request) -> Response:
        return JSONResponse(document())

    return Starlette(routes=[Route("/metrics", metrics), Route("/docs.json", docs)])
