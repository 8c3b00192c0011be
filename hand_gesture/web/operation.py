"""The routes for operators and tools, mounted beside the prediction routes: /metrics, documents and the page at /."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hand_gesture.telemetry.exposition import render_metrics
from hand_gesture.web.access import is_authorized

# BentoML's own page loads an analytics script from elsewhere; this one is content with Swagger UI, which BentoML serves
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Hand gestures</title>
    <link rel="stylesheet" href="static_content/swagger-ui.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="static_content/swagger-ui-bundle.js"></script>
    <script src="static_content/swagger-ui-standalone-preset.js"></script>
    <script src="static_content/swagger-initializer.js"></script>
  </body>
</html>
"""
_ONLY_OWN_SCRIPTS: Final = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
}


Document = Callable[[], dict[str, Any]]


def operation_app(openapi: Document, asyncapi: Document, metrics_token: str) -> Starlette:
    """Make the application.

    Args:
        openapi: gives the OpenAPI document.
        asyncapi: gives the AsyncAPI document.
        metrics_token: what /metrics asks for; empty: nothing.
    """

    async def metrics(request: Request) -> Response:
        if not is_authorized(request.scope["headers"], filter(None, [metrics_token])):
            text = "Send the token of METRICS_TOKEN as Authorization: Bearer TOKEN.\n"
            return PlainTextResponse(text, 401, headers={"WWW-Authenticate": "Bearer"})
        return Response(await run_in_threadpool(render_metrics), media_type=CONTENT_TYPE_LATEST)

    def serve(document: Document) -> Callable[[Request], Awaitable[Response]]:
        async def answer(_: Request) -> Response:
            return JSONResponse(document())

        return answer

    async def page(_: Request) -> Response:
        return HTMLResponse(_PAGE, headers=_ONLY_OWN_SCRIPTS)

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/docs.json", serve(openapi)),
            Route("/asyncapi.json", serve(asyncapi)),
            Route("/", page),
        ]
    )
