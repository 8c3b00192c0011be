"""An independent oracle for responses: the schema of the OpenAPI document, and plain arithmetic."""

from __future__ import annotations

import json
import math
from typing import Any

import joblib
import numpy as np
from jsonschema_rs import Draft202012Validator
from numpy.typing import NDArray

from hand_gesture.model.artifacts import MODEL_FILE
from hand_gesture.web.contract import HandRequest
from tests.hands import ARTIFACTS, CLASSIFIER

MODEL = joblib.load(ARTIFACTS / MODEL_FILE)
VALIDATOR = Draft202012Validator(HandRequest.model_json_schema())


class NotJSONError(ValueError):
    """The body is not JSON according to RFC 8259, in UTF-8 and with numbers that fit a double."""


def load(body: bytes) -> Any:
    """Read a body with Python's own parser, held to the standard but for NaN and Infinity, which become strings.

    Raises:
        NotJSONError: it is not JSON.
    """

    def number(text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise NotJSONError(text)
        return value

    try:
        value = json.loads(body.decode(), parse_constant=str, parse_float=number, parse_int=number)
        json.dumps(value, ensure_ascii=False).encode()  # fails for lone surrogates
    except (UnicodeError, ValueError, RecursionError) as error:
        raise NotJSONError(str(error)) from None
    return value


def expected_gesture(body: bytes) -> str | None:
    """The expected gesture of a body for /predict; None if it must be rejected."""
    try:
        request = load(body)
    except NotJSONError:
        return None
    if not VALIDATOR.is_valid(request):
        return None
    points = np.array([_coordinates(point) for point in _points(_unwrapped(request["landmarks"]))])
    if request.get("image_size") and np.abs(points[:, :2]).max() <= 3:
        points[:, :2] *= request["image_size"]
    elif np.abs(points[:, 2]).max() > 2:  # in pixels
        points[:, 2] *= 1 / max(request["image_size"][0], 1) if request.get("image_size") else 0
    return _classify(points)


def _classify(points: NDArray[np.float64]) -> str:
    """Plain implementation of features, network and threshold."""
    relative = points[:, :2] - points[0, :2]
    (index_x, index_y), (pinky_x, pinky_y) = relative[5], relative[17]
    if index_x * pinky_y < index_y * pinky_x:
        relative[:, 0] *= -1
    flat = relative.ravel()
    scale = math.sqrt(math.fsum(value * value for value in flat) / 42)
    (probabilities,) = MODEL.predict_proba((flat / (scale if scale >= 1e-9 else 1)).reshape(1, 42).astype(np.float32))
    best = CLASSIFIER.classes[int(probabilities.argmax())]
    return best if probabilities.max() >= CLASSIFIER.min_confidence else "none"


def missing_points(body: bytes) -> int:
    """Number of landmarks of a rejected body that are absent, null or not finite."""
    request = json.loads(body)
    hands = request["hands"] if "hands" in request else [request["landmarks"]]
    return sum(21 - sum(map(_is_there, _slots(hand or []))) for hand in hands)


def _unwrapped(hand: list[Any]) -> list[Any]:
    return hand[0] if len(hand) == 1 else hand


def _slots(hand: list[Any]) -> list[Any]:
    if len(hand) == 1 and isinstance(hand[0], list):
        inner = hand[0]
        hand = inner if len(inner) >= 42 or any(isinstance(point, list | dict) for point in inner) else hand
    return hand if any(isinstance(item, list | dict) for item in hand) else _cut(hand)


def _cut(numbers: list[Any]) -> list[Any]:
    size = 2 if len(numbers) == 42 else 3
    numbers = numbers + [None] * (-len(numbers) % size)
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def _is_there(point: Any) -> bool:
    if isinstance(point, dict):
        point = [point.get("x"), point.get("y"), *([point["z"]] if "z" in point else [])]
    values = point or []
    return len(values) >= 2 and all(value is not None and math.isfinite(value) for value in values)


def _points(hand: list[Any]) -> list[Any]:
    return hand if len(hand) == 21 else _cut(hand)


def _coordinates(point: Any) -> list[float]:
    given = [point["x"], point["y"], point.get("z", 0)] if isinstance(point, dict) else point
    return [*given, 0][:3]
