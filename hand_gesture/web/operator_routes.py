"""All routes except predictions: /metrics and JSON documents for operators and tools, pages for browsers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import bentoml
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from hand_gesture.model.artifacts import load_reference_hands
from hand_gesture.settings import Settings
from hand_gesture.telemetry.exposition import MetricsLostError, render_metrics
from hand_gesture.telemetry.metrics import get_metrics
from hand_gesture.web.access import is_authorized
from hand_gesture.web.asyncapi import asyncapi_document
from hand_gesture.web.openapi import openapi_document
from hand_gesture.web.reference import ReferenceDocument

# A child of BentoML's logger, whose level and format it inherits
logger = logging.getLogger("bentoml.service.hand_gesture.operator_routes")


def operator_app(
    settings: Settings, model: bentoml.Model, get_reference: Callable[[], ReferenceDocument], pages: Sequence[BaseRoute]
) -> Starlette:
    """Make the ASGI application.

    Args:
        settings: limits and tokens.
        model: the served model in the BentoML store.
        get_reference: returns the document of the loaded model.
        pages: routes for browsers.
    """
    version = str(model.tag.version)

    async def metrics(request: Request) -> Response:
        if not is_authorized(request.scope["headers"], filter(None, [settings.metrics_token])):
            text = "Send the token of METRICS_TOKEN as Authorization: Bearer TOKEN.\n"
            return PlainTextResponse(text, 401, headers={"WWW-Authenticate": "Bearer"})
        get_metrics().flush()
        try:
            page = await run_in_threadpool(render_metrics)
        except MetricsLostError as error:
            logger.error("%s", error)
            return PlainTextResponse(f"{error}\n", 500)
        return Response(page, media_type=CONTENT_TYPE_LATEST)

    async def openapi(_: Request) -> Response:
        hands = load_reference_hands(Path(model.path))
        example = {"landmarks": next(iter(hands.hands.values())), "image_size": hands.image_size}
        return JSONResponse(openapi_document(settings, version=version, example=example))

    async def asyncapi(_: Request) -> Response:
        return JSONResponse(asyncapi_document(settings, version=version))

    async def reference_hands(_: Request) -> Response:
        return JSONResponse(get_reference().model_dump())

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/docs.json", openapi),
            Route("/asyncapi.json", asyncapi),
            Route("/reference_hands.json", reference_hands),
            *pages,
        ]
    )
