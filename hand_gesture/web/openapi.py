"""The OpenAPI document at /docs.json.

Not BentoML's, because its generator keeps only the first of several formats of a field, and only some of the errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from hand_gesture.settings import Settings
from hand_gesture.web.contract import (
    CommandResponse,
    ErrorResponse,
    GesturesRequest,
    GesturesResponse,
    HandRequest,
    HandsRequest,
    PredictionResponse,
    PredictionsResponse,
)
from hand_gesture.web.reference import ReferenceDocument

_ERRORS: Final = {
    HTTPStatus.BAD_REQUEST: "The request does not match the schema, or landmarks are missing.",
    HTTPStatus.UNAUTHORIZED: "The request has no valid key.",
    HTTPStatus.METHOD_NOT_ALLOWED: "The request is not a POST.",
    HTTPStatus.REQUEST_TIMEOUT: "The body did not arrive in time.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not plain JSON.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The model failed.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The server is overloaded; retry after the seconds in Retry-After.",
    HTTPStatus.GATEWAY_TIMEOUT: "No answer in time.",
}
_ERROR_HEADERS: Final = {
    HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
    HTTPStatus.METHOD_NOT_ALLOWED: ("Allow",),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",),
}
_TEXT: Final = {"text/plain": {"schema": {"type": "string"}}}
_OBJECT: Final = {"type": "object"}


def openapi_document(settings: Settings, *, version: str, example: dict[str, Any]) -> dict[str, Any]:
    """Describe every route.

    Args:
        settings: limits, and which keys are required.
        version: the model's version.
        example: body of ``/predict`` with the fields ``landmarks`` and ``image_size``.
    """
    key = "key" if settings.api_key else None
    token = "token" if settings.metrics_token else None
    own_gesture = {"hands": [example["landmarks"]], "image_size": example["image_size"], "command": "jump"}
    batch_example = {"hands": [example["landmarks"]], "image_size": example["image_size"]}
    schemas = {
        model.__name__: model.model_json_schema()
        for model in (
            HandRequest,
            HandsRequest,
            PredictionResponse,
            PredictionsResponse,
            CommandResponse,
            GesturesRequest,
            GesturesResponse,
            ErrorResponse,
        )
    }
    schemas["ReferenceDocument"] = ReferenceDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= schemas["ReferenceDocument"].pop("$defs")
    schemas["HandsRequest"]["properties"]["hands"]["maxItems"] = settings.max_hands
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hand gestures",
            "description": "Send the 21 landmarks that MediaPipe finds on a hand, get the gesture back.",
            "version": version,
        },
        "servers": [{"url": "."}],
        "paths": {
            "/predict": _prediction(
                "predict",
                "Classify one hand; concurrent requests share a model call.",
                "HandRequest",
                "PredictionResponse",
                example,
                key,
            ),
            "/predict_batch": _prediction(
                "predict_batch",
                "Classify several hands of one camera: those of a frame, or a recording.",
                "HandsRequest",
                "PredictionsResponse",
                batch_example,
                key,
            ),
            "/predict/command": _prediction(
                "predict_command",
                "Classify one hand and return only the game's command.",
                "HandRequest",
                "CommandResponse",
                example,
                key,
            ),
            "/gestures": _prediction(
                "gestures",
                "Report how well custom gestures, given as examples, can be recognized.",
                "GesturesRequest",
                "GesturesResponse",
                {"gestures": {"heart": own_gesture}},
                key,
            ),
            "/livez": _probe("livez", "Is the process alive?"),
            "/healthz": _probe("healthz", "The same as /livez."),
            "/readyz": _probe("readyz", "Is it ready to answer predictions?"),
            "/metrics": _operation(
                "metrics",
                "Metrics for Prometheus.",
                {
                    "200": {"description": "Prometheus' text format.", "content": _TEXT},
                    **({"401": {"description": "The request has no valid token.", "content": _TEXT}} if token else {}),
                },
                token,
            ),
            "/docs.json": _document("openapi", "This document."),
            "/asyncapi.json": _document("asyncapi", "The AsyncAPI document of the WebSocket /stream."),
            "/reference_hands.json": _document(
                "reference_hands",
                "The served model: its gestures, a typical hand of each, and the commands.",
                _reference("ReferenceDocument"),
            ),
            "/gestures.js": _module("module", "An ES module for pages of any origin, from the camera to gestures."),
            "/v1/gestures.js": _module("module_v1", "The same; its interface stays as it is."),
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {name: {"type": "http", "scheme": "bearer"} for name in (key, token) if name},
        },
    }


def _prediction(
    name: str, summary: str, request: str, response: str, example: dict[str, Any], key: str | None
) -> dict[str, Any]:
    errors = {
        status: description for status, description in _ERRORS.items() if key or status != HTTPStatus.UNAUTHORIZED
    }
    return {
        "post": {
            "operationId": name,
            "tags": ["prediction"],
            "summary": summary,
            "security": [{key: []}] if key else [],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _reference(request), "example": example}},
            },
            "responses": {
                "200": {
                    "description": "The answer.",
                    "content": {"application/json": {"schema": _reference(response)}},
                },
                **{
                    str(status.value): {
                        "description": description,
                        "headers": {name: {"schema": {"type": "string"}} for name in _ERROR_HEADERS.get(status, ())},
                        "content": {"application/json": {"schema": _reference("ErrorResponse")}},
                    }
                    for status, description in errors.items()
                },
            },
        }
    }


def _probe(name: str, summary: str) -> dict[str, Any]:
    return _operation(
        name,
        summary,
        {
            "200": {"description": "Yes.", "content": _TEXT},
            "503": {"description": "No.", "content": _TEXT},
        },
    )


def _document(name: str, summary: str, schema: Mapping[str, str] = _OBJECT) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return _operation(name, summary, {"200": {"description": "The document.", "content": content}})


def _module(name: str, summary: str) -> dict[str, Any]:
    content = {"text/javascript": {"schema": {"type": "string"}}}
    return _operation(name, summary, {"200": {"description": "The module.", "content": content}})


def _operation(name: str, summary: str, responses: dict[str, Any], token: str | None = None) -> dict[str, Any]:
    return {
        "get": {
            "operationId": name,
            "tags": ["operation"],
            "summary": summary,
            "security": [{token: []}] if token else [],
            "responses": responses,
        }
    }


def _reference(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}
