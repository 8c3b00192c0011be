"""Requests and responses as types: for the OpenAPI document and for BentoML's Python client."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import bentoml
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from hand_gesture.errors import Reason, ServerReason
from hand_gesture.landmarks import COORDINATE_COUNT, LANDMARK_COUNT, MAX_COORDINATE, MAX_IMAGE_SIDE, PLANAR_COUNT
from hand_gesture.model.taught import MAX_EXAMPLES, MAX_GESTURES

MAX_HOLD_MS: Final = 10_000
MAX_NAME_LENGTH: Final = 50  # of a client's own gesture, and of its command
_INVISIBLE: Final = r"\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
NAME_PATTERN: Final = rf"^[^\s{_INVISIBLE}][^{_INVISIBLE}]{{0,{MAX_NAME_LENGTH - 1}}}$"
MAX_HANDS_IN_FRAME: Final = 8  # of a stream: those of four people
ALWAYS_LISTS: Final = "list"  # setting "answers" of a stream

_COORDINATE: Final = {"type": "number", "minimum": -MAX_COORDINATE, "maximum": MAX_COORDINATE}


def _array(title: str, items: dict[str, Any], *lengths: int) -> dict[str, Any]:
    return {"title": title, "type": "array", "minItems": min(lengths), "maxItems": max(lengths), "items": items}


# `oneOf`, because BentoML's schema for its Python client keeps only the first entry of an `anyOf`
_ONE_HAND: Final = [
    _array("21 points [x, y, z] or [x, y]", _array("Point", _COORDINATE, 2, 3), LANDMARK_COUNT),
    _array(
        "21 objects, as MediaPipe's JavaScript gives them; z may be left out",
        {
            "type": "object",
            "required": ["x", "y"],
            "properties": {"x": _COORDINATE, "y": _COORDINATE, "z": _COORDINATE},
        },
        LANDMARK_COUNT,
    ),
    _array("63 numbers x1, y1, z1, … x21, y21, z21", _COORDINATE, COORDINATE_COUNT),
    _array("42 numbers x1, y1, … x21, y21", _COORDINATE, PLANAR_COUNT),
]
HAND_SCHEMA: Final[dict[str, Any]] = {
    "title": "Hand",
    "description": "The 21 landmarks of one hand, numbered as MediaPipe does, in pixels or 0..1 of the frame. z may be "
    "MediaPipe's, in pixels, or absent.",
    "oneOf": [*_ONE_HAND, _array("One of these in a list", {"oneOf": _ONE_HAND}, 1)],
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


class OwnGestureRequest(BaseModel):
    """Examples of a gesture of one's own; 10 of a recording of three seconds are plenty."""

    model_config = ConfigDict(extra="forbid")

    hands: Annotated[
        list[Hand],
        WithJsonSchema({"type": "array", "minItems": 1, "maxItems": MAX_EXAMPLES, "items": HAND_SCHEMA}),
    ]
    image_size: ImageSize = None
    command: Annotated[
        str | None, WithJsonSchema({"type": ["string", "null"], "minLength": 1, "pattern": NAME_PATTERN})
    ] = Field(default=None, description="What the gesture means to the game.")


_GESTURES_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": MAX_GESTURES,
    "propertyNames": {"pattern": NAME_PATTERN},
    "additionalProperties": OwnGestureRequest.model_json_schema(),
}


class GesturesRequest(bentoml.IODescriptor):  # type: ignore[misc]
    """Gestures of one's own, by name."""

    model_config = ConfigDict(extra="forbid")

    gestures: Annotated[dict[str, OwnGestureRequest], WithJsonSchema(_GESTURES_SCHEMA)]


class GestureReportResponse(BaseModel):
    """How well a gesture of one's own can be told apart."""

    examples: int = Field(description="How many there were.")
    right_left_out: int | None = Field(
        description="How many of them are still told when they and their neighbours in time are left out; null of one."
    )
    right_tilted: int = Field(description="How many of them are told when the hand is tilted by 20° to either side.")
    resembles: str = Field(description="The known gesture that they resemble most.")
    resemblance: float = Field(ge=0, le=1, description="How much.")
    taken: float = Field(ge=0, le=1, description="Share of the stored hands, of other gestures and of none, it takes.")
    advice: str = Field(description="What to do, in a sentence.")


class GesturesResponse(bentoml.IODescriptor):  # type: ignore[misc]
    """A report on each of the gestures, by name."""

    gestures: Annotated[
        dict[str, GestureReportResponse],
        WithJsonSchema({"type": "object", "additionalProperties": GestureReportResponse.model_json_schema()}),
    ]


class PredictionResponse(bentoml.IODescriptor):  # type: ignore[misc]
    """The gesture of one hand."""

    gesture: str = Field(description="Name of the gesture; none where the hand makes none of them.")
    confidence: float = Field(
        ge=0, le=1, description="Probability of the gesture; of none, that the hand makes none of them."
    )
    command: str | None = Field(description="What the gesture means to the game, if anything.")


class FrameResponse(PredictionResponse):
    """The gesture of one hand of a stream's frame, and what holds."""

    held: str = Field(description="What has been most of what was shown for hold_ms; none where there is none.")
    changed: bool = Field(description="Whether the hand held something else before.")
    hand: int = Field(ge=1, description="The hand's number in this stream: the same from frame to frame.")


class ReleasedHandResponse(BaseModel):
    """A hand that has left, and holds nothing from this frame on."""

    gesture: None
    confidence: None
    command: None
    held: Literal["none"]
    changed: Literal[True]
    hand: int = Field(ge=1)


class EmptyFrameResponse(BaseModel):
    """The answer to a frame without hands: of the hand that is released with it or still holds a gesture, if any."""

    gesture: Literal["none"]
    confidence: None
    command: str | None = Field(description="What the gesture that holds means to the game, if anything.")
    held: str
    changed: bool = Field(description="Whether the hand is released with this frame.")
    hand: int | None = Field(description="The hand's number; null where none holds a gesture.")


_CLIENT_TIME = Field(default=None, description="The client's time of the frame, in milliseconds.")


class FrameOfOneHand(HandRequest):
    """A stream's frame of one hand."""

    time: float | None = _CLIENT_TIME


class FrameOfHands(BaseModel):
    """A stream's frame of several hands, or none."""

    model_config = ConfigDict(extra="forbid")

    hands: Annotated[
        list[Hand], WithJsonSchema({"type": "array", "maxItems": MAX_HANDS_IN_FRAME, "items": HAND_SCHEMA})
    ]
    image_size: ImageSize = None
    time: float | None = _CLIENT_TIME


class StreamSettingsMessage(BaseModel):
    """The first message of a stream; every field may be left out."""

    model_config = ConfigDict(extra="forbid")

    image_size: ImageSize = None
    hold_ms: float = Field(
        default=0, ge=0, le=MAX_HOLD_MS, description="How long a gesture must be shown until it holds."
    )
    answers: Literal["list"] | None = Field(
        default=None,
        description="list: each answer is a list, for one hand and none, too, and tells of released hands.",
    )
    gestures: Annotated[
        dict[str, OwnGestureRequest] | None, WithJsonSchema(_GESTURES_SCHEMA | {"type": ["object", "null"]})
    ] = Field(
        default=None, description="Gestures of the client's own, by name: this stream's hands are told them, too."
    )
    key: str = Field(default="", description="One of the keys that the server asks for, where no header can be sent.")


class PredictionsResponse(bentoml.IODescriptor):  # type: ignore[misc]
    """The gestures of several hands, in the order they came."""

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """A plain list, which a pydantic model with fields cannot say."""
        return {"type": "array", "items": PredictionResponse.model_json_schema(*args, **kwargs)}


class CommandResponse(bentoml.IODescriptor):  # type: ignore[misc]
    """The reply that the earlier backend's maze front end reads."""

    gesture: str | None = Field(description="The command; null where there is none, or no gesture.")


class ErrorResponse(BaseModel):
    """Any 4xx or 5xx."""

    error: str = Field(description="What is wrong and what to do, in a sentence.")
    reason: Annotated[str, WithJsonSchema(REASON_SCHEMA)]
