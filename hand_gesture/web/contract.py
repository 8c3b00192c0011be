"""Types of requests and responses, for the OpenAPI document and BentoML's Python client."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import bentoml
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from hand_gesture.errors import Reason, ServerReason
from hand_gesture.landmarks import COORDINATE_COUNT, LANDMARK_COUNT, MAX_COORDINATE, MAX_IMAGE_SIDE, PLANAR_COUNT
from hand_gesture.model.taught import MAX_EXAMPLES, MAX_GESTURES

MAX_HOLD_MS: Final = 10_000
MAX_NAME_LENGTH: Final = 50  # of a custom gesture, and of its command
_INVISIBLE: Final = (  # control and format characters, and those that Unicode calls default ignorable
    r"\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U000e0000-\U000e00ff"  # not raw, because Python and JavaScript escape these differently
)
_VARIATION_SELECTORS: Final = r"\ufe00-\ufe0f"  # emoji need them, but after another character
NAME_PATTERN: Final = rf"^[^\s{_INVISIBLE}{_VARIATION_SELECTORS}][^{_INVISIBLE}]{{0,{MAX_NAME_LENGTH - 1}}}$"
MAX_HANDS_IN_FRAME: Final = 8  # of a stream: two for each of four people
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
    "description": "Width and height of the frame in pixels; restores the aspect ratio of coordinates in 0..1.",
    "type": ["array", "null"],
    "minItems": 2,
    "maxItems": 2,
    "items": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_IMAGE_SIDE},
}
REASON_SCHEMA: Final[dict[str, Any]] = {
    "title": "Reason",
    "description": "Machine-readable cause of the error.",
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


class CustomGestureRequest(BaseModel):
    """Examples of a custom gesture; 10 from a recording of three seconds are enough."""

    model_config = ConfigDict(extra="forbid")

    hands: Annotated[
        list[Hand],
        WithJsonSchema({"type": "array", "minItems": 1, "maxItems": MAX_EXAMPLES, "items": HAND_SCHEMA}),
    ]
    image_size: ImageSize = None
    command: Annotated[
        str | None, WithJsonSchema({"type": ["string", "null"], "minLength": 1, "pattern": NAME_PATTERN})
    ] = Field(default=None, description="The gesture's command in the game.")


_GESTURES_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": MAX_GESTURES,
    "propertyNames": {"pattern": NAME_PATTERN},
    "additionalProperties": CustomGestureRequest.model_json_schema(),
}


class GesturesRequest(bentoml.IODescriptor):  # type: ignore[misc]
    """Custom gestures, by name."""

    model_config = ConfigDict(extra="forbid")

    gestures: Annotated[dict[str, CustomGestureRequest], WithJsonSchema(_GESTURES_SCHEMA)]


class GestureReportResponse(BaseModel):
    """How well a custom gesture can be recognized."""

    examples: int = Field(description="Number of examples.")
    right_left_out: int | None = Field(
        description="How many of them are recognized by a model trained without them and their neighbours in time "
        "(cross-validation); null if there is only one."
    )
    right_tilted: int = Field(description="How many of them are recognized with the hand tilted by 20° to either side.")
    resembles: str = Field(description="The known gesture that is most similar.")
    resemblance: float = Field(ge=0, le=1, description="How similar it is.")
    taken: float = Field(
        ge=0, le=1, description="Share of the stored hands (other gestures and none) that are mistaken for it."
    )
    advice: str = Field(description="What to do, in a sentence.")


class GesturesResponse(bentoml.IODescriptor):  # type: ignore[misc]
    """A report for each gesture, by name."""

    gestures: Annotated[
        dict[str, GestureReportResponse],
        WithJsonSchema({"type": "object", "additionalProperties": GestureReportResponse.model_json_schema()}),
    ]


class PredictionResponse(bentoml.IODescriptor):  # type: ignore[misc]
    """The gesture of one hand."""

    gesture: str = Field(description="Name of the gesture, or none.")
    confidence: float = Field(
        ge=0, le=1, description="Probability of the gesture; for none, that it is none of the gestures."
    )
    command: str | None = Field(description="The gesture's command in the game, if it has one.")


class FrameResponse(PredictionResponse):
    """The gesture of one hand of a stream's frame, and the held (debounced) gesture."""

    held: str = Field(description="The debounced gesture: the last one that was shown for hold_ms; else none.")
    changed: bool = Field(description="Whether held differs from the answer to the previous frame.")
    hand: int = Field(ge=1, description="The hand's number in this stream: the same from frame to frame.")


class ReleasedHandResponse(BaseModel):
    """A hand that has left and whose gesture is released with this frame."""

    gesture: None
    confidence: None
    command: None
    held: Literal["none"]
    changed: Literal[True]
    hand: int = Field(ge=1)


class EmptyFrameResponse(BaseModel):
    """The answer to a frame without hands: about the hand that is released or still holds a gesture, if any."""

    gesture: Literal["none"]
    confidence: None
    command: str | None = Field(description="The held gesture's command in the game, if it has one.")
    held: str
    changed: bool = Field(description="Whether the hand is released with this frame.")
    hand: int | None = Field(description="The hand's number; null if no hand holds a gesture.")


_CLIENT_TIME = Field(default=None, description="The frame's timestamp by the client's clock, in milliseconds.")


class FrameOfOneHand(HandRequest):
    """A stream's frame of one hand."""

    time: float | None = _CLIENT_TIME


class FrameOfHands(BaseModel):
    """A stream's frame of any number of hands."""

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
        default=0, ge=0, le=MAX_HOLD_MS, description="How long a gesture must be shown until it is held."
    )
    answers: Literal["list"] | None = Field(
        default=None,
        description="list: each answer is a list, also for one hand or none, and includes released hands.",
    )
    gestures: Annotated[
        dict[str, CustomGestureRequest] | None, WithJsonSchema(_GESTURES_SCHEMA | {"type": ["object", "null"]})
    ] = Field(default=None, description="Custom gestures, by name, which this stream recognizes as well.")
    key: str = Field(default="", description="API key, for clients that cannot send headers, such as browsers.")


class PredictionsResponse(bentoml.IODescriptor):  # type: ignore[misc]
    """The gestures of several hands, in the order of the request."""

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The schema of a list, because a pydantic model with fields is an object."""
        return {"type": "array", "items": PredictionResponse.model_json_schema(*args, **kwargs)}


class CommandResponse(bentoml.IODescriptor):  # type: ignore[misc]
    """The response of the earlier backend, which its maze front end reads."""

    gesture: str | None = Field(description="The command; null if there is no gesture, or it has no command.")


class ErrorResponse(BaseModel):
    """The body of every 4xx and 5xx."""

    error: str = Field(description="What is wrong and what to do, in one sentence.")
    reason: Annotated[str, WithJsonSchema(REASON_SCHEMA)]
