"""The OpenAPI document at /docs.json.

Written here because BentoML's own generator keeps only the first of several forms of a field and knows only some of
the errors.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from hand_gesture.contract import (
    CommandResponse,
    ErrorResponse,
    HandRequest,
    HandsRequest,
    PredictionResponse,
    PredictionsResponse,
)

_ERRORS: Final = {
    HTTPStatus.BAD_REQUEST: "The request is not what the schema says, or points of the hand are missing.",
    HTTPStatus.UNAUTHORIZED: "The request carries none of the keys that this server asks for.",
    HTTPStatus.REQUEST_TIMEOUT: "The body did not arrive in time.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not plain JSON.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The model failed.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The server has as many requests as it can take; come back when Retry-After says.",
    HTTPStatus.GATEWAY_TIMEOUT: "There was no answer in time.",
}
_TEXT: Final = {"text/plain": {"schema": {"type": "string"}}}


def openapi_document(*, version: str, example: dict[str, Any]) -> dict[str, Any]:
    """Describe every route.

    Args:
        version: the model's version.
        example: a body for ``/predict``, shown as the example to try.
    """
    batch_example = {"hands": [example["landmarks"]], "image_size": example["image_size"]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hand gestures",
            "description": "Send the 21 landmarks that MediaPipe finds on a hand, get the gesture back.",
            "version": version,
        },
        "servers": [{"url": "."}],
        "paths": {
            "/predict": _operation(
                "predict",
                "Classify one hand; requests in flight together share a model call.",
                "HandRequest",
                "PredictionResponse",
                example,
            ),
            "/predict_batch": _operation(
                "predict_batch",
                "Classify several hands of one camera: those of a frame, or a recording.",
                "HandsRequest",
                "PredictionsResponse",
                batch_example,
            ),
            "/predict/command": _operation(
                "predict_command",
                "Classify one hand and get only the game's command.",
                "HandRequest",
                "CommandResponse",
                example,
            ),
            "/livez": _probe("livez", "Is the process alive?"),
            "/healthz": _probe("healthz", "The same as /livez."),
            "/readyz": _probe("readyz", "Can it answer predictions?"),
            "/metrics": {
                "get": {
                    "operationId": "metrics",
                    "tags": ["operation"],
                    "summary": "Figures for Prometheus.",
                    "responses": {
                        "200": {"description": "Prometheus' text format.", "content": _TEXT},
                        "401": {"description": "The request does not carry the token.", "content": _TEXT},
                    },
                }
            },
        },
        "components": {
            "schemas": {
                model.__name__: model.model_json_schema()
                for model in (
                    HandRequest,
                    HandsRequest,
                    PredictionResponse,
                    PredictionsResponse,
                    CommandResponse,
                    ErrorResponse,
                )
            }
        },
    }


def _operation(name: str, summary: str, request: str, response: str, example: dict[str, Any]) -> dict[str, Any]:
    return {
        "post": {
            "operationId": name,
            "tags": ["prediction"],
            "summary": summary,
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
                        "content": {"application/json": {"schema": _reference("ErrorResponse")}},
                    }
                    for status, description in _ERRORS.items()
                },
            },
        }
    }


def _probe(name: str, summary: str) -> dict[str, Any]:
    return {
        "get": {
            "operationId": name,
            "tags": ["operation"],
            "summary": summary,
            "responses": {
                "200": {"description": "Yes.", "content": _TEXT},
                "503": {"description": "No.", "content": _TEXT},
            },
        }
    }


def _reference(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}
