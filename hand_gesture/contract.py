"""Requests and responses: their types for documentation and clients, and their JSON on the wire."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Final

import bentoml
import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from starlette.types import Send

from hand_gesture.landmarks import (
    FEATURE_COUNT,
    LANDMARK_COUNT,
    MAX_COORDINATE,
    MalformedLandmarksError,
    MissingLandmarksError,
    parse_hand,
    read_hands,
    scale_to_pixels,
)

MAX_IMAGE_SIDE: Final = 100_000
# A hand takes 1 to 4 kB, written generously; more for one hand would be spent on reading nonsense
MAX_HAND_BYTES: Final = 65_536
_JSON: Final = (b"content-type", b"application/json")
Headers = Sequence[tuple[bytes, bytes]]


class Reason(StrEnum):
    """Why a request was rejected: the ``reason`` of the error and of ``hand_gesture_invalid_requests_total``."""

    UNAUTHORIZED = "unauthorized"
    INVALID_JSON = "invalid_json"
    INVALID_REQUEST = "invalid_request"
    MISSING_LANDMARKS = "missing_landmarks"
    MALFORMED_LANDMARKS = "malformed_landmarks"
    INVALID_IMAGE_SIZE = "invalid_image_size"
    TOO_MANY_HANDS = "too_many_hands"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TOO_SLOW = "body_too_slow"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    METHOD_NOT_ALLOWED = "method_not_allowed"


class ServerReason(StrEnum):
    """Why a good request got no answer."""

    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    MODEL_FAILED = "model_failed"


class FailedRequestError(Exception):
    """A request that gets an error: ``status``, ``reason`` for a program, and a sentence for a person."""

    def __init__(self, status: int, reason: Reason | ServerReason, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.headers = headers


class RejectedRequestError(FailedRequestError):
    """A request that gets a 4xx for what it holds.

    ``missing_landmarks`` counts the points that were absent, null or not finite.
    """

    reason: Reason

    def __init__(
        self, status: int, reason: Reason, message: str, headers: Headers = (), *, missing_landmarks: int = 0
    ) -> None:
        super().__init__(status, reason, message, headers)
        self.missing_landmarks = missing_landmarks


# ---- types, for the OpenAPI document and the Python client's schema ----

_COORDINATE: Final = {"type": "number", "minimum": -MAX_COORDINATE, "maximum": MAX_COORDINATE}
# `oneOf`, because BentoML's schema for its Python client keeps only the first entry of an `anyOf`
HAND_SCHEMA: Final[dict[str, Any]] = {
    "title": "Hand",
    "description": "The 21 landmarks of one hand, numbered as MediaPipe does, in pixels or 0..1 of the frame.",
    "oneOf": [
        {
            "title": "21 triples [x, y, z]",
            "type": "array",
            "minItems": LANDMARK_COUNT,
            "maxItems": LANDMARK_COUNT,
            "items": {"type": "array", "minItems": 3, "maxItems": 3, "items": _COORDINATE},
        },
        {
            "title": "21 objects, as MediaPipe's JavaScript gives them",
            "type": "array",
            "minItems": LANDMARK_COUNT,
            "maxItems": LANDMARK_COUNT,
            "items": {
                "type": "object",
                "required": ["x", "y", "z"],
                "properties": {"x": _COORDINATE, "y": _COORDINATE, "z": _COORDINATE},
            },
        },
        {
            "title": "63 numbers x1, y1, z1, … x21, y21, z21",
            "type": "array",
            "minItems": FEATURE_COUNT,
            "maxItems": FEATURE_COUNT,
            "items": _COORDINATE,
        },
    ],
}
IMAGE_SIZE_SCHEMA: Final[dict[str, Any]] = {
    "title": "Image size",
    "description": "Width and height of the frame in pixels; with it, 0..1 coordinates keep the hand's true shape.",
    "type": ["array", "null"],
    "minItems": 2,
    "maxItems": 2,
    "items": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_IMAGE_SIDE},
}
REASON_SCHEMA: Final[dict[str, Any]] = {
    "title": "Reason",
    "description": "The same for a program to tell apart.",
    "type": "string",
    "enum": [*Reason, *ServerReason],
}
Hand = Annotated[list[Any], WithJsonSchema(HAND_SCHEMA)]
ImageSize = Annotated[list[float] | None, WithJsonSchema(IMAGE_SIZE_SCHEMA)]


class HandRequest(bentoml.IODescriptor):  # type: ignore[misc]  # BentoML does not type it
    """One hand."""

    model_config = ConfigDict(extra="forbid")

    landmarks: Hand
    image_size: ImageSize = None


class HandsRequest(bentoml.IODescriptor):  # type: ignore[misc]
    """Several hands of one camera: the two hands of a frame, or a recording."""

    model_config = ConfigDict(extra="forbid")

    hands: Annotated[list[Hand], WithJsonSchema({"type": "array", "minItems": 1, "items": HAND_SCHEMA})]
    image_size: ImageSize = None


class PredictionResponse(bentoml.IODescriptor):  # type: ignore[misc]
    """The gesture of one hand."""

    gesture: str = Field(description="Name of the gesture.")
    confidence: float = Field(ge=0, le=1, description="Probability that the classifier gives it.")
    command: str | None = Field(description="What the gesture means to the game, if anything.")


class PredictionsResponse(bentoml.IODescriptor):  # type: ignore[misc]
    """The gestures of several hands, in the order they came."""

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """A plain list, which a pydantic model with fields cannot say."""
        return {"type": "array", "items": PredictionResponse.model_json_schema(*args, **kwargs)}


class CommandResponse(bentoml.IODescriptor):  # type: ignore[misc]
    """The reply that the earlier backend's maze front end reads."""

    gesture: str | None = Field(description="The command, or null where the gesture has none.")


class ErrorResponse(BaseModel):
    """Any 4xx or 5xx."""

    error: str = Field(description="What is wrong and what to do, in a sentence.")
    reason: Annotated[str, WithJsonSchema(REASON_SCHEMA)]


# ---- from bytes to validated hands ----


def decode_hand_request(body: bytes) -> NDArray[np.float64]:
    """Read the body of ``/predict``.

    Returns:
        The hand's coordinates, shape (1, 63), in pixels if the frame's size is known.

    Raises:
        RejectedRequestError: status 400; the message says what is wrong.
    """
    fields = _load_object(body, required="landmarks")
    try:
        hands = parse_hand(fields["landmarks"])[np.newaxis]
    except MissingLandmarksError as error:
        message = f"{_capitalize(error)} Send all 21, or skip frames without a hand."
        raise _reject(Reason.MISSING_LANDMARKS, message, missing_landmarks=error.count) from None
    except MalformedLandmarksError as error:
        raise _reject(Reason.MALFORMED_LANDMARKS, _capitalize(error)) from None
    _apply_image_size(hands, fields.get("image_size"))
    return hands


def decode_hands_request(body: bytes, max_hands: int) -> NDArray[np.float64]:
    """Read the body of ``/predict_batch``.

    Returns:
        The hands' coordinates, shape (n, 63), in pixels if the frame's size is known.

    Raises:
        RejectedRequestError: status 400; the message says what is wrong, and with which hand.
    """
    fields = _load_object(body, required="hands")
    values = fields["hands"]
    if not isinstance(values, list) or not values:
        raise _reject(Reason.INVALID_REQUEST, "hands must be a list of at least one hand.")
    if len(values) > max_hands:
        message = f"There are {len(values)} hands in this request; send at most {max_hands} at once."
        raise _reject(Reason.TOO_MANY_HANDS, message)
    hands = read_hands(values)
    if hands is None:
        raise _reject_hands(values)
    _apply_image_size(hands, fields.get("image_size"))
    return hands


def _reject_hands(values: list[Any]) -> RejectedRequestError:
    missing: list[str] = []
    missing_count = 0
    for index, value in enumerate(values):
        try:
            parse_hand(value)
        except MissingLandmarksError as error:
            missing.append(f"hand {index}: {error}")
            missing_count += error.count
        except MalformedLandmarksError as error:
            return _reject(Reason.MALFORMED_LANDMARKS, f"Hand {index}: {error}")
    others = len(missing) - 1
    more = f" So it is with {others} more {'hand' if others == 1 else 'hands'}." if others else ""
    return _reject(Reason.MISSING_LANDMARKS, _capitalize(missing[0]) + more, missing_landmarks=missing_count)


def _load_object(body: bytes, *, required: str) -> dict[str, Any]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        fields = _load_with_nan(body, error)
    if type(fields) is not dict:
        raise _reject(Reason.INVALID_REQUEST, f"The body must be a JSON object with the field {required}.")
    if unknown := fields.keys() - {required, "image_size"}:
        names = ", ".join(sorted(unknown))[:100]
        raise _reject(Reason.INVALID_REQUEST, f"Unknown field {names}; the fields are {required} and image_size.")
    if required not in fields:
        raise _reject(Reason.INVALID_REQUEST, f"The field {required} is missing.")
    return fields


def _load_with_nan(body: bytes, error: orjson.JSONDecodeError) -> Any:
    """Read the NaN and Infinity that Python clients write though JSON has none, so that the points can be named."""
    if b"NaN" in body or b"Infinity" in body:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            pass
    raise _reject(Reason.INVALID_JSON, f"The body is not valid JSON: {error}.") from None


def _apply_image_size(hands: NDArray[np.float64], image_size: Any) -> None:
    if image_size is None:
        return
    if not (
        isinstance(image_size, list)
        and len(image_size) == 2
        and all(type(side) in (int, float) and 0 < side <= MAX_IMAGE_SIDE for side in image_size)
    ):
        message = f"image_size must be [width, height] in pixels, each above 0 and at most {MAX_IMAGE_SIDE}."
        raise _reject(Reason.INVALID_IMAGE_SIZE, message)
    scale_to_pixels(hands, (image_size[0], image_size[1]))


def _reject(reason: Reason, message: str, *, missing_landmarks: int = 0) -> RejectedRequestError:
    return RejectedRequestError(HTTPStatus.BAD_REQUEST, reason, message, missing_landmarks=missing_landmarks)


def _capitalize(sentence: object) -> str:
    text = str(sentence)
    return text[0].upper() + text[1:]


# ---- from answers to bytes ----


async def send_answer(send: Send, answer: object) -> None:
    """Send what an API method gave as the JSON of a 200."""
    await _send_json(send, HTTPStatus.OK, answer)


async def send_error(send: Send, error: FailedRequestError, *, more_body: bool = False) -> None:
    """Send an error as ``ErrorResponse`` describes it.

    With ``more_body`` the client has it all, but its connection takes no other request until ``finish`` is called.
    """
    await _send_json(send, error.status, {"error": str(error), "reason": error.reason}, error.headers, more_body)


async def finish(send: Send) -> None:
    """End an answer that was sent with ``more_body``."""
    await send({"type": "http.response.body", "body": b""})


async def _send_json(send: Send, status: int, content: object, headers: Headers = (), more_body: bool = False) -> None:
    # Straight to ASGI: a Response object takes as long as the decoding of a hand
    body = orjson.dumps(content)
    size = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [_JSON, size, *headers]})
    await send({"type": "http.response.body", "body": body, "more_body": more_body})
