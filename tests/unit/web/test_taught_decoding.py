"""Decoding of custom gestures: all formats of hands, and error messages."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from hand_gesture.errors import Reason, RejectedRequestError
from hand_gesture.model.taught import OwnGesture
from hand_gesture.web.decoding import decode_stream_settings
from hand_gesture.web.taught_decoding import decode_gestures_of_settings, decode_gestures_request
from tests.hands import CLASSIFIER, FORMS, IMAGE_SIZE, LIKE, as_numbers

HAND = as_numbers(LIKE)


def body(name: str = "heart", **fields: Any) -> bytes:
    return json.dumps({"gestures": {name: {"hands": [LIKE], "image_size": IMAGE_SIZE} | fields}}).encode()


def decode(content: bytes) -> dict[str, OwnGesture]:
    return decode_gestures_request(content, CLASSIFIER.classes)


def decode_settings(text: str) -> dict[str, OwnGesture]:
    assert decode_stream_settings(text).has_gestures
    return decode_gestures_of_settings(text, CLASSIFIER.classes)


@pytest.mark.parametrize("form", FORMS)
def test_hands_may_have_any_format(form: Callable[[Any], Any]) -> None:
    (gesture,) = decode(body(hands=[form(LIKE)] * 3, command="jump")).values()
    expected = np.array(LIKE)[:, :2] * IMAGE_SIZE
    assert gesture.command == "jump"
    assert gesture.examples.shape == (3, 63)
    assert np.allclose(gesture.examples.reshape(3, 21, 3)[..., :2], expected)


@pytest.mark.parametrize("name", ["heart", "Heart ❤️", "ハート", "a b", "x" * 50, "like it", "__proto__"])
def test_a_name_may_be_of_any_language(name: str) -> None:
    assert [*decode(body(name, command=None))] == [name]


BAD = {
    "no JSON": (b"{", Reason.INVALID_JSON, "not valid JSON"),
    "no text": (b'\xff{"gestures": {}}', Reason.INVALID_JSON, "not valid JSON"),
    "nested": (b"[" * 100_000, Reason.INVALID_JSON, "not valid JSON"),
    "a number too long": (b'{"gestures": ' + b"1" * 5000 + b"}", Reason.INVALID_JSON, "not valid JSON"),
    "a list": (b"[]", Reason.INVALID_REQUEST, "body must be"),
    "another field": (b'{"gestures": {}, "x": 1}', Reason.INVALID_REQUEST, "body must be"),
    "none": (b'{"gestures": {}}', Reason.INVALID_REQUEST, "at least one"),
    "null": (b'{"gestures": null}', Reason.INVALID_REQUEST, "at least one"),
    "17": (
        json.dumps({"gestures": {f"g{number}": {"hands": [LIKE]} for number in range(17)}}).encode(),
        Reason.INVALID_REQUEST,
        "17 gestures; send at most 16",
    ),
    "the same name twice": (
        b'{"gestures": {"star": {"hands": [1]}, "heart": {"hands": [1]}, "heart": {"hands": [1]}}}',
        Reason.INVALID_REQUEST,
        "The name heart stands twice",
    ),
    "a known gesture": (body("like"), Reason.INVALID_REQUEST, "The name like is taken"),
    "a known gesture in capitals": (body("LIKE"), Reason.INVALID_REQUEST, "The name LIKE is taken"),
    "a known gesture in wide letters": (body("ｌｉｋｅ"), Reason.INVALID_REQUEST, "is taken"),
    "none as a name": (body("none"), Reason.INVALID_REQUEST, "The name none is taken"),
    "no name": (body(""), Reason.INVALID_REQUEST, "1 to 50 characters"),
    "a blank": (body(" "), Reason.INVALID_REQUEST, "1 to 50 characters"),
    "a long name": (body("x" * 51), Reason.INVALID_REQUEST, "1 to 50 characters"),
    "a name of 30 characters": (body("x" * 30, hands=[]), Reason.INVALID_REQUEST, f"hands of {'x' * 30} must"),
    "a name of 31 characters": (body("x" * 31, hands=[]), Reason.INVALID_REQUEST, f"hands of {'x' * 30}… must"),
    "a very long name": (body("x" * 500_000), Reason.INVALID_REQUEST, "1 to 50 characters"),
    "a line break": (body("a\nb"), Reason.INVALID_REQUEST, r"'a\\nb'"),
    "a line break at the end": (body("a\n"), Reason.INVALID_REQUEST, "1 to 50 characters"),
    "a NUL": (body("a\x00b"), Reason.INVALID_REQUEST, "1 to 50 characters"),
    "a reversed name": (body("a\u202eb"), Reason.INVALID_REQUEST, "1 to 50 characters"),
    "a soft hyphen in a known gesture": (body("li\u00adke"), Reason.INVALID_REQUEST, "1 to 50 characters"),
    "a Hangul filler": (body("\u3164"), Reason.INVALID_REQUEST, "1 to 50 characters"),
    "a tag": (body("like\U000e0020"), Reason.INVALID_REQUEST, "1 to 50 characters"),
    "nothing but a variation selector": (body("\ufe0f"), Reason.INVALID_REQUEST, "1 to 50 characters"),
    "a known gesture with a variation selector": (body("like\ufe0f"), Reason.INVALID_REQUEST, "is taken"),
    "a known gesture and a blank": (body("Like "), Reason.INVALID_REQUEST, "is taken"),
    "none and a no-break space": (body("none\u00a0"), Reason.INVALID_REQUEST, "is taken"),
    "half a character": (body("a\ud800"), Reason.INVALID_REQUEST, "1 to 50 characters"),
    "half a character twice": (
        b'{"gestures": {"\\ud800": 1, "\\ud800": 2}}',
        Reason.INVALID_REQUEST,
        "stands twice",
    ),
    "no object": (b'{"gestures": {"heart": []}}', Reason.INVALID_REQUEST, "heart must be an object"),
    "no hands": (b'{"gestures": {"heart": {}}}', Reason.INVALID_REQUEST, "heart must be an object of hands"),
    "an unknown field": (body(label="x"), Reason.INVALID_REQUEST, "heart must be an object of hands"),
    "empty hands": (body(hands=[]), Reason.INVALID_REQUEST, "at least one hand"),
    "hands as text": (body(hands="x"), Reason.INVALID_REQUEST, "at least one hand"),
    "65 hands": (body(hands=[LIKE] * 65), Reason.TOO_MANY_HANDS, "heart has 65 hands; send at most 64"),
    "a number as command": (body(command=1), Reason.INVALID_REQUEST, "The command of heart"),
    "an empty command": (body(command=""), Reason.INVALID_REQUEST, "The command of heart"),
    "a hidden command": (body(command="a\x1b[31m"), Reason.INVALID_REQUEST, "The command of heart"),
    "a bad size": (body(image_size=[0, 480]), Reason.INVALID_IMAGE_SIZE, "The gesture heart: image_size must be"),
    "a point missing": (
        body(hands=[LIKE, LIKE[:20]]),
        Reason.MISSING_LANDMARKS,
        "Example 2 of heart: landmark 20 PINKY_TIP has no finite",
    ),
    "NaN": (body(hands=[[float("nan"), *HAND[1:]]]), Reason.MISSING_LANDMARKS, "Example 1 of heart: landmark 0 WRIST"),
    "Infinity": (body(hands=[LIKE, LIKE, [*HAND[:-1], float("inf")]]), Reason.MISSING_LANDMARKS, "Example 3 of heart"),
    "a hand too large": (body(hands=[[1e300, *HAND[1:]]]), Reason.MALFORMED_LANDMARKS, "Example 1 of heart"),
    "a hand of text": (body(hands=[LIKE, "x"]), Reason.MALFORMED_LANDMARKS, "Example 2 of heart"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_are_explained(name: str) -> None:
    content, reason, message = BAD[name]
    with pytest.raises(RejectedRequestError, match=message) as caught:
        decode(content)
    assert caught.value.reason == reason
    assert caught.value.status == 400
    assert len(str(caught.value)) < 400
    assert str(caught.value)[0].isupper() or str(caught.value).startswith("gestures")
    orjson.dumps(str(caught.value))  # no half characters


def test_finding_a_repeated_name_takes_time_linear_in_the_number_of_names() -> None:
    def seconds(count: int) -> float:
        names = ",".join(f'"{number}":1' for number in [*range(count), count - 1])
        started = time.thread_time()
        with pytest.raises(RejectedRequestError, match="stands twice"):
            decode(f"{{{names}}}".encode())
        return time.thread_time() - started

    fewer, more = (min(seconds(count) for _ in range(3)) for count in (1_000, 20_000))
    assert more < 100 * fewer  # 20 if linear, 400 if quadratic


def test_missing_points_are_counted() -> None:
    with pytest.raises(RejectedRequestError) as caught:
        decode(body(hands=[LIKE, LIKE[:18]]))
    assert caught.value.missing_landmarks == 3


# What is wrong beside the gestures; a stream's settings say it in their own words, see test_decoding.py
BESIDE = {"no JSON", "no text", "nested", "a number too long", "a list", "another field", "null"}
HALVES = {"half a character", "half a character twice"}  # no JSON where orjson reads it


@pytest.mark.parametrize("name", sorted(BAD.keys() - BESIDE))
def test_errors_are_the_same_in_settings_of_a_stream(name: str) -> None:
    content, reason, message = BAD[name]
    if name in HALVES:
        reason, message = Reason.INVALID_JSON, "The settings are not valid JSON"
    with pytest.raises(RejectedRequestError, match=message) as caught:
        decode_settings(content.decode())
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "text", ['{"gestures": {"a": 1}, "gestures": {"a": 1}}', '{"key": "", "key": "", "gestures": 1}']
)
def test_settings_with_gestures_have_each_field_once(text: str) -> None:
    with pytest.raises(RejectedRequestError, match="stands twice"):
        decode_settings(text)


def test_gestures_of_settings_are_those_of_a_request() -> None:
    (gesture,) = decode_settings(json.dumps({"hold_ms": 1, **json.loads(body(command="jump"))})).values()
    (expected,) = decode(body(command="jump")).values()
    assert gesture.command == "jump"
    np.testing.assert_array_equal(gesture.examples, expected.examples)


def test_the_largest_request_is_accepted() -> None:
    most = {f"g{number}": {"hands": [HAND] * 64} for number in range(16)}
    gestures = decode(json.dumps({"gestures": most}).encode())
    assert [gesture.examples.shape for gesture in gestures.values()] == [(64, 63)] * 16


@pytest.mark.parametrize("name", sorted(name for name in BAD if BAD[name][1] != Reason.MISSING_LANDMARKS))
def test_other_errors_count_no_missing_points(name: str) -> None:
    with pytest.raises(RejectedRequestError) as caught:
        decode(BAD[name][0])
    assert caught.value.missing_landmarks == 0


def test_errors_in_json_name_what_was_sent() -> None:
    with pytest.raises(RejectedRequestError, match=r"^The body is not valid JSON\.$"):
        decode(b"{")
    with pytest.raises(RejectedRequestError, match=r"^The settings are not valid JSON"):
        decode_settings(f'{{"gestures": {"1" * 5000}}}')  # more digits than Python reads
