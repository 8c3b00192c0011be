"""Decodes and validates requests, frames and stream settings."""

from __future__ import annotations

import contextlib
import json
import struct
import sys
from collections.abc import Sequence, Set
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from hand_gesture.errors import Reason, RejectedRequestError
from hand_gesture.landmarks import (
    COORDINATE_COUNT,
    MAX_COORDINATE,
    MAX_IMAGE_SIDE,
    MalformedLandmarksError,
    MissingLandmarksError,
    Unit,
    convert,
    largest_coordinate,
    parse_hand,
    read_hands,
)
from hand_gesture.web.contract import ALWAYS_LISTS, MAX_HANDS_IN_FRAME, MAX_HOLD_MS

# Enough for one hand, which takes 1 to 4 kB as JSON
MAX_HAND_BYTES: Final = 65_536
MEDIAPIPE_GUIDE: Final = "https://ai.google.dev/edge/mediapipe/solutions/vision/hand_landmarker/web_js"
HAND_DTYPE: Final = np.dtype("<f4")  # of the coordinates in a binary frame
HAND_BYTES: Final = COORDINATE_COUNT * HAND_DTYPE.itemsize
_TIME: Final = struct.Struct("<d")  # timestamp before the hands of a binary frame
TIME_BYTES: Final = _TIME.size
NOT_HANDS: Final = "hands must be a list of at least one hand."
MAX_NAMES: Final = 5  # of unknown fields in an error message
MAX_NAME: Final = 30  # characters of each
# Fields that clients are known to send instead of landmarks
_RESULT_FIELDS: Final = frozenset({"worldLandmarks", "handedness", "handednesses", "multiHandLandmarks"})
_SETTINGS_FIELDS: Final = frozenset({"hold_ms", "answers", "gestures", "key"})
_IMAGE_FIELDS: Final = frozenset({"image", "frame", "img", "file", "photo", "image_base64"})

ImageSize = tuple[float, float] | None  # width and height in pixels, if known
_unit = Unit.PIXELS


def use_unit(unit: Unit) -> None:
    """Set the unit of decoded hands: that of the served model's features."""
    global _unit  # noqa: PLW0603 (a process serves one model)
    _unit = unit


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """The settings in the first message of a stream."""

    image_size: ImageSize
    hold_seconds: float
    key: str
    always_lists: bool  # whether every answer is a list
    has_gestures: bool = False  # of the client; decoded by taught_decoding.py


class Frame(NamedTuple):
    """A frame of a stream.

    ``hands`` has shape (n, 63), in the unit of ``use_unit`` if the frame's size is known. ``time`` is the client's
    timestamp in milliseconds, finite, if there is one. ``as_list`` is whether hands, and so answers, are in a list.
    """

    hands: NDArray[np.float64]
    time: float | None
    as_list: bool


def decode_hand_request(body: bytes | str, image_size: ImageSize = None) -> NDArray[np.float64]:
    """Decode the body of ``/predict``.

    Args:
        body: JSON.
        image_size: of the frame, if the body has none.

    Returns:
        The hand's coordinates, shape (1, 63), in the unit of ``use_unit`` if the frame's size is known.

    Raises:
        RejectedRequestError: status 400; the message says what is wrong.
    """
    fields = _load_object(body, required="landmarks")
    hands = _read_hand(fields["landmarks"])
    convert(hands, read_image_size(fields.get("image_size")) or image_size, _unit)
    return hands


def decode_hands_request(body: bytes | str, max_hands: int, image_size: ImageSize = None) -> NDArray[np.float64]:
    """Decode the body of ``/predict_batch``.

    Args:
        body: JSON.
        max_hands: maximum number of hands.
        image_size: of the frame, if the body has none.

    Returns:
        The hands' coordinates, shape (n, 63), in the unit of ``use_unit`` if the frame's size is known.

    Raises:
        RejectedRequestError: status 400; the message says what is wrong, and with which hand.
    """
    fields = _load_object(body, required="hands")
    values = fields["hands"]
    if values == []:
        raise _reject(Reason.INVALID_REQUEST, NOT_HANDS)
    hands = _read_hands(values, max_hands, "request")
    convert(hands, read_image_size(fields.get("image_size")) or image_size, _unit)
    return hands


def decode_frame(message: bytes | str, image_size: ImageSize) -> Frame:
    """Decode a frame of a stream.

    Args:
        message: binary: the client's timestamp as little-endian float64 (optional), then for each hand x1 y1 z1 … z21
            as little-endian float32; or JSON in the format of ``/predict`` or ``/predict_batch``, optionally with
            ``time``.
        image_size: of the frame, if the message has none.

    Raises:
        RejectedRequestError: status 400; the message says what is wrong, and with which hand.
    """
    if not isinstance(message, bytes):
        return _decode_text(message, image_size)
    count, rest = divmod(len(message), HAND_BYTES)
    if rest and rest != TIME_BYTES:
        text = (
            f"A binary frame is {HAND_BYTES} bytes for each hand (63 little-endian float32), and {TIME_BYTES} more "
            f"with the client's time, not {len(message)}."
        )
        raise _reject(Reason.MALFORMED_LANDMARKS, text)
    time = _read_time(_TIME.unpack_from(message)[0]) if rest else None
    hands = np.ndarray((count, COORDINATE_COUNT), HAND_DTYPE, message, rest).astype(np.float64)
    if count:
        largest = largest_coordinate(hands)
        if count > MAX_HANDS_IN_FRAME:
            raise _too_many_hands(count, MAX_HANDS_IN_FRAME, "frame")
        if not largest <= MAX_COORDINATE:  # true for NaN, too
            values = hands.tolist()
            if count > 1:
                raise _reject_hands(values)
            _read_hand(values[0])
        convert(hands, image_size, _unit, largest)
    return Frame(hands, time, count > 1)


def _decode_text(message: str, image_size: ImageSize) -> Frame:
    is_list = '"hands"' in message
    fields = _load_object(message, required="hands" if is_list else "landmarks", optional=("image_size", "time"))
    hands = _read_hands(fields["hands"], MAX_HANDS_IN_FRAME, "frame") if is_list else _read_hand(fields["landmarks"])
    size = read_image_size(fields.get("image_size")) or image_size
    if len(hands):
        convert(hands, size, _unit)
    time = fields.get("time")
    return Frame(hands, None if time is None else _read_time(time), is_list)


def decode_stream_settings(message: str) -> StreamSettings:
    """Decode the first message of a stream.

    Raises:
        RejectedRequestError: the message says what is wrong.
    """
    try:
        fields = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        if '"gestures"' not in message:  # NaN is tolerated in hands only
            raise _reject(Reason.INVALID_JSON, f"The settings are not valid JSON: {error}.") from None
        fields = _load_with_nan(message, error, "The settings are")
    if type(fields) is not dict or fields.keys() - {"image_size", *_SETTINGS_FIELDS}:
        text = (
            "A stream begins with its settings: a JSON object of image_size, hold_ms, answers, gestures and key, all "
            "optional."
        )
        raise _reject(Reason.INVALID_REQUEST, text)
    hold_ms, key, answers = fields.get("hold_ms"), fields.get("key"), fields.get("answers")
    if hold_ms is not None and not (type(hold_ms) in (int, float) and 0 <= hold_ms <= MAX_HOLD_MS):
        raise _reject(Reason.INVALID_REQUEST, f"hold_ms must be a number of milliseconds from 0 to {MAX_HOLD_MS}.")
    if key is not None and type(key) is not str:
        raise _reject(Reason.INVALID_REQUEST, "key must be a string.")
    if answers not in (None, ALWAYS_LISTS):
        raise _reject(Reason.INVALID_REQUEST, f'answers must be "{ALWAYS_LISTS}", or left out.')
    image_size = read_image_size(fields.get("image_size"))
    has_gestures = fields.get("gestures") is not None
    return StreamSettings(image_size, (hold_ms or 0) / 1000, key or "", answers == ALWAYS_LISTS, has_gestures)


def _read_hands(values: Any, most: int, message: str) -> NDArray[np.float64]:
    if not isinstance(values, list):
        raise _reject(Reason.INVALID_REQUEST, NOT_HANDS)
    if len(values) > most:
        raise _too_many_hands(len(values), most, message)
    hands = read_hands(values) if values else np.empty((0, COORDINATE_COUNT))
    if hands is None:
        raise _reject_hands(values)
    return hands


def _too_many_hands(count: int, most: int, message: str) -> RejectedRequestError:
    text = f"There are {count} hands in this {message}; send at most {most} at once."
    return _reject(Reason.TOO_MANY_HANDS, text)


def _read_time(time: Any) -> float:
    # False for NaN, and works for integers that are too large for a float
    if type(time) not in (int, float) or not abs(time) <= sys.float_info.max:
        text = "The time of a frame must be a finite number of milliseconds."
        raise _reject(Reason.INVALID_REQUEST, text)
    return float(time)


def _read_hand(value: Any) -> NDArray[np.float64]:
    try:
        return parse_hand(value)[np.newaxis]
    except MissingLandmarksError as error:
        message = f"{_capitalize(error)} Send all 21, or skip frames without a hand."
        raise _reject(Reason.MISSING_LANDMARKS, message, missing_landmarks=error.count) from None
    except MalformedLandmarksError as error:
        raise _reject(Reason.MALFORMED_LANDMARKS, _capitalize(error)) from None


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
    more = f" {others} more {'hand is' if others == 1 else 'hands are'} incomplete." if others else ""
    return _reject(Reason.MISSING_LANDMARKS, _capitalize(missing[0]) + more, missing_landmarks=missing_count)


def _load_object(body: bytes | str, *, required: str, optional: Sequence[str] = ("image_size",)) -> dict[str, Any]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        fields = _load_with_nan(body, error)
    if type(fields) is not dict:
        raise _reject(Reason.INVALID_REQUEST, f"The body must be a JSON object with the field {required}.")
    if unknown := fields.keys() - {required, *optional}:
        raise _reject(Reason.INVALID_REQUEST, _explain_unknown(fields, unknown, required, optional))
    if required not in fields:
        raise _reject(Reason.INVALID_REQUEST, f"The field {required} is missing.")
    return fields


def _explain_unknown(fields: dict[str, Any], unknown: Set[str], required: str, optional: Sequence[str]) -> str:
    """Say what to send instead of unknown fields, for mistakes that clients are known to make."""
    if {"x1", "y1"} <= unknown:
        return f"Send the coordinates x1, y1, z1, … z21 as one list of 63 numbers, in the field {required}."
    if unknown & _RESULT_FIELDS and isinstance(fields.get("landmarks", []), list):
        return (
            f"This is MediaPipe's whole result; send one of its hands, result.landmarks[0], in the field {required}."
            if required == "landmarks"
            else "This is MediaPipe's whole result; send its landmarks in the field hands."
        )
    if unknown <= _SETTINGS_FIELDS and "time" in optional:
        return "Only the first message of a stream has its settings; to change them, connect again."
    if unknown & _IMAGE_FIELDS:
        return f"Images are not accepted; send the landmarks that MediaPipe finds in them ({MEDIAPIPE_GUIDE})."
    if len(fields) == 1 and required not in fields and isinstance(next(iter(fields.values())), list | dict):
        return f"Send the content of {_quote(next(iter(fields)))} in the field {required}."
    names = sorted(unknown)
    shown = ", ".join(map(_quote, names[:MAX_NAMES]))
    others = len(names) - MAX_NAMES
    more = f" and {others} more" if others > 0 else ""
    plural = "s" if len(names) > 1 else ""
    known = ", ".join([required, *optional[:-1]])
    return f"Unknown field{plural} {shown}{more}; the fields are {known} and {optional[-1]}."


def _quote(name: str) -> str:
    """A field's name, truncated."""
    return name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}…"


def _load_with_nan(body: bytes | str, error: orjson.JSONDecodeError, what: str = "The body is") -> Any:
    """Parse with NaN and Infinity, which Python's json module writes, so that the error can name the landmarks."""
    with contextlib.suppress(ValueError, RecursionError):
        text = body if isinstance(body, str) else body.decode()
        if "NaN" in text or "Infinity" in text:
            value = json.loads(text)
            if "\\u" in text:  # raises for a lone surrogate, which UTF-8 cannot encode
                json.dumps(value, ensure_ascii=False).encode()
            return value
    raise _reject(Reason.INVALID_JSON, f"{what} not valid JSON: {error}.") from None


def read_image_size(image_size: Any) -> ImageSize:
    """Validate the optional width and height of a frame.

    Raises:
        RejectedRequestError: status 400.
    """
    if image_size is None:
        return None
    if isinstance(image_size, list) and len(image_size) == 2:
        width, height = image_size
        if _is_side(width) and _is_side(height):
            return width, height
    message = f"image_size must be [width, height] in pixels, each above 0 and at most {MAX_IMAGE_SIDE}."
    raise _reject(Reason.INVALID_IMAGE_SIZE, message)


def _is_side(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value <= MAX_IMAGE_SIDE


def _reject(reason: Reason, message: str, *, missing_landmarks: int = 0) -> RejectedRequestError:
    return RejectedRequestError(HTTPStatus.BAD_REQUEST, reason, message, missing_landmarks=missing_landmarks)


def _capitalize(sentence: object) -> str:
    text = str(sentence)
    return text[0].upper() + text[1:]
