"""Requests and responses: their types for documentation and clients, and their JSON on the wire."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

import bentoml
import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from hand_gesture.landmarks import (
    FEATURE_COUNT,
    LANDMARK_COUNT,
    MAX_COORDINATE,
    MalformedLandmarksError,
    MissingLandmarksError,
    parse_hand,
    scale_to_pixels,
)

MAX_IMAGE_SIDE: Final = 100_000
SCOPE_KEY: Final = "hand_gesture.hands"


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


class ServerReason(StrEnum):
    """Why a good request got no answer."""

    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    MODEL_FAILED = "model_failed"


class RejectedRequestError(Exception):
    """A request that gets a 4xx: ``status``, ``reason``, and a sentence for a person.

    ``missing_landmarks`` counts the points that were absent, null or not finite.
    """

    def __init__(self, status: int, reason: Reason, message: str, *, missing_landmarks: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.missing_landmarks = missing_landmarks


@dataclass(frozen=True, slots=True)
class DecodedHands:
    """Validated hands on their way to a BentoML API method, which gets ``hands`` as its argument.

    BentoML passes the fields that ``model_fields`` names, as it does for a pydantic model.
    """

    hands: NDArray[np.float64]
    model_fields: ClassVar = ("hands",)


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
Hand = Annotated[list[Any], WithJsonSchema(HAND_SCHEMA)]
ImageSize = Annotated[list[float] | None, WithJsonSchema(IMAGE_SIZE_SCHEMA)]


class _DecodedByMiddleware(bentoml.IODescriptor):  # type: ignore[misc]  # BentoML does not type it
    """A request that the gateway has read, checked and left in the ASGI scope before BentoML sees it."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    async def from_http_request(cls, request: Request, serde: object) -> Any:
        """Hand over what the gateway decoded."""
        return request.scope[SCOPE_KEY]


class HandRequest(_DecodedByMiddleware):
    """One hand."""

    landmarks: Hand
    image_size: ImageSize = None


class HandsRequest(_DecodedByMiddleware):
    """Several hands of one camera: the two hands of a frame, or a recording."""

    hands: Annotated[list[Hand], WithJsonSchema({"type": "array", "minItems": 1, "items": HAND_SCHEMA})]
    image_size: ImageSize = None


class _JSONResponse(bentoml.IODescriptor):  # type: ignore[misc]
    """A response written in one step, without pydantic building the JSON schema anew for each."""

    @classmethod
    async def to_http_response(cls, obj: Any, serde: object) -> Response:
        """Encode what an API method returned."""
        return Response(orjson.dumps(obj), media_type="application/json")


class _JSONResponseOfOne(_JSONResponse):
    """The same for batched methods, of whose list each request gets its own part: a list of one."""

    @classmethod
    async def to_http_response(cls, obj: Any, serde: object) -> Response:
        """Encode the answer to one hand."""
        (answer,) = obj
        return await super().to_http_response(answer, serde)


class PredictionResponse(_JSONResponseOfOne):
    """The gesture of one hand."""

    gesture: str = Field(description="Name of the gesture.")
    confidence: float = Field(ge=0, le=1, description="Probability that the classifier gives it.")
    command: str | None = Field(description="What the gesture means to the game, if anything.")


class PredictionsResponse(_JSONResponse):
    """The gestures of several hands, in the order they came."""

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """A plain list, which a pydantic model with fields cannot say."""
        return {"type": "array", "items": PredictionResponse.model_json_schema(*args, **kwargs)}


class CommandResponse(_JSONResponseOfOne):
    """The reply that the earlier backend's maze front end reads."""

    gesture: str | None = Field(description="The command, or null where the gesture has none.")


class ErrorResponse(BaseModel):
    """Any 4xx or 5xx."""

    error: str = Field(description="What is wrong and what to do, in a sentence.")
    reason: str = Field(description="The same for a program to tell apart.")


def error_response(status: int, reason: StrEnum, message: str) -> Response:
    """An error as it goes over the wire."""
    return Response(
        orjson.dumps({"error": message, "reason": reason}), status_code=status, media_type="application/json"
    )


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
    hands = np.empty((len(values), FEATURE_COUNT))
    missing: list[str] = []
    missing_count = 0
    for index, value in enumerate(values):
        try:
            hands[index] = parse_hand(value)
        except MissingLandmarksError as error:
            missing.append(f"hand {index}: {error}")
            missing_count += error.count
        except MalformedLandmarksError as error:
            raise _reject(Reason.MALFORMED_LANDMARKS, f"Hand {index}: {error}") from None
    if missing:
        more = f" So it is with {len(missing) - 1} more hands." if len(missing) > 1 else ""
        raise _reject(Reason.MISSING_LANDMARKS, _capitalize(missing[0]) + more, missing_landmarks=missing_count)
    _apply_image_size(hands, fields.get("image_size"))
    return hands


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
    return RejectedRequestError(400, reason, message, missing_landmarks=missing_landmarks)


def _capitalize(sentence: object) -> str:
    text = str(sentence)
    return text[0].upper() + text[1:]
