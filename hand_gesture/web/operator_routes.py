"""The routes beside those of predictions: /metrics and documents for operators and tools, pages for people."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from hand_gesture.telemetry.exposition import MetricsLostError, render_metrics
from hand_gesture.web.access import is_authorized

Document = Callable[[], dict[str, Any]]

# A child of BentoML's logger, whose level and format it inherits
logger = logging.getLogger("bentoml.service.hand_gesture.operator_routes")


def operator_app(documents: Mapping[str, Document], pages: Sequence[BaseRoute], metrics_token: str) -> Starlette:
    """Make the application.

    Args:
        documents: what gives the JSON document of each path.
        pages: routes for people's browsers.
        metrics_token: what /metrics asks for; empty: nothing.
    """

    async def metrics(request: Request) -> Response:
        if not is_authorized(request.scope["headers"], filter(None, [metrics_token])):
            text = "Send the token of METRICS_TOKEN as Authorization: Bearer TOKEN.\n"
            return PlainTextResponse(text, 401, headers={"WWW-Authenticate": "Bearer"})
        try:
            page = await run_in_threadpool(render_metrics)
        except MetricsLostError as error:
            logger.error("%s", error)
            return PlainTextResponse(f"{error}\n", 500)
        return Response(page, media_type=CONTENT_TYPE_LATEST)

    def serve(document: Document) -> Callable[[Request], Awaitable[Response]]:
        async def answer(_: Request) -> Response:
            return JSONResponse(document())

        return answer

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            *(Route(path, serve(document)) for path, document in documents.items()),
            *pages,
        ]
    )
