from __future__ import annotations

import json
import math
import struct
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest
from jsonschema_rs import Draft202012Validator

from hand_gesture.errors import Reason, RejectedRequestError
from hand_gesture.landmarks import Unit
from hand_gesture.web.contract import HAND_SCHEMA
from hand_gesture.web.decoding import (
    NOT_HANDS,
    StreamSettings,
    decode_frame,
    decode_hand_request,
    decode_hands_request,
    decode_stream_settings,
    use_unit,
)
from tests.hands import FORMS, IMAGE_SIZE, LIKE, as_frame, as_numbers, as_objects


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def rejected(content: bytes) -> RejectedRequestError:
    with pytest.raises(RejectedRequestError) as caught:
        decode_hand_request(content)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize("form", FORMS)
def test_every_format_is_decoded_and_matches_the_schema(form: Any) -> None:
    hand = form(LIKE)
    Draft202012Validator(HAND_SCHEMA).validate(hand)
    decoded = decode_hand_request(body(landmarks=hand))[0]
    assert decoded.reshape(21, 3)[:, :2].tolist() == [point[:2] for point in LIKE]


@pytest.mark.parametrize(
    "hand",
    [
        *([], {}, "x", None, [LIKE, LIKE], [[LIKE]]),
        *(form(LIKE[:20]) for form in FORMS),
        *(form([*LIKE, LIKE[0]]) for form in FORMS),
        *([[0.5]] * 21, [[0.5] * 4] * 21, ["x"] * 63, [None] * 63, [["x", "y"]] * 21),
        *([{"x": 0.5}] * 21, [{"y": 0.5, "z": 0.5}] * 21, [{"x": 0.5, "y": "y"}] * 21),
        *([1e7] * 63, [-1e7] * 42),
    ],
)
def test_hands_of_other_formats_are_rejected_and_do_not_match_the_schema(hand: Any) -> None:
    assert rejected(body(landmarks=hand)).reason in (Reason.MALFORMED_LANDMARKS, Reason.MISSING_LANDMARKS)
    assert not Draft202012Validator(HAND_SCHEMA).is_valid(hand)


@pytest.mark.parametrize(
    ("fields", "advice"),
    [
        ({f"{axis}{i}": 0.5 for i in range(1, 22) for axis in "xyz"}, "as one list of 63 numbers, in the field landm"),
        ({"data": as_numbers(LIKE)}, "Send the content of data in the field landmarks."),
        ({"points": [LIKE]}, "Send the content of points in the field landmarks."),
        ({"landmarks": [LIKE], "worldLandmarks": [LIKE], "handedness": []}, "result.landmarks[0], in the field landm"),
        ({"multiHandLandmarks": [LIKE]}, "result.landmarks[0], in the field landm"),
        ({"image": "data:image/png;base64,"}, "Images are not accepted; send the landmarks that MediaPipe finds"),
        ({"landmarks": LIKE, "b": 1, "a": 1}, "Unknown fields a, b; the fields are landmarks and image_size."),
        ({"landmarks": LIKE, **dict.fromkeys("abcdefg", 1)}, "Unknown fields a, b, c, d, e and 2 more; the fields"),
        ({"landmarks": LIKE, **dict.fromkeys("abcde", 1)}, "Unknown fields a, b, c, d, e; the fields"),
        ({"landmarks": LIKE, **dict.fromkeys("abcdef", 1)}, "Unknown fields a, b, c, d, e and 1 more; the fields"),
        ({"x1": 1, "y1": 1}, "as one list of 63 numbers"),
        ({"data": 1}, "Unknown field data; the fields are landmarks and image_size."),
        ({"n" * 30: 1}, f"Unknown field {'n' * 30}; the fields"),
        ({"landmarks": LIKE, "n" * 99: 1}, "Unknown field nnnnnnnnnnnnnnnnnnnnnnnnnnnnnn…; the fields"),
    ],
)
def test_common_mistakes_of_clients_get_helpful_errors(fields: dict[str, Any], advice: str) -> None:
    error = rejected(body(**fields))
    assert error.reason is Reason.INVALID_REQUEST
    assert advice in str(error)


def test_image_size_restores_the_aspect_ratio() -> None:
    hand = decode_hand_request(body(landmarks=LIKE, image_size=[200, 100]))
    assert hand[0, :3] == pytest.approx([LIKE[0][0] * 200, LIKE[0][1] * 100, LIKE[0][2]])


def test_image_size_may_be_null() -> None:
    assert decode_hand_request(body(landmarks=LIKE, image_size=None)).tolist() == [as_numbers(LIKE)]


@pytest.mark.parametrize(
    "size", [[0, 1], [-1, 5], [1], [1, 2, 3], "640x480", [True, True], ["1", "2"], [1e9, 1], {"width": 1}, 5, [None, 1]]
)
def test_invalid_image_size_is_rejected(size: Any) -> None:
    assert rejected(body(landmarks=LIKE, image_size=size)).reason is Reason.INVALID_IMAGE_SIZE


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.INVALID_JSON),
        (b"{", Reason.INVALID_JSON),
        (b'{"landmarks": ' + b"[" * 5000, Reason.INVALID_JSON),
        (b'{"landmarks": NaN' + b"[" * 5000, Reason.INVALID_JSON),
        (b'{"landmarks": ' + b"[" * 5000 + b"NaN", Reason.INVALID_JSON),
        (b'\xff{"landmarks": []}', Reason.INVALID_JSON),
        (b'\xef\xbb\xbf{"landmarks": []}', Reason.INVALID_JSON),
        (b'{"landmarks": [1e400]}', Reason.INVALID_JSON),
        (b'{"landmarks": [' + b"9" * 10_000 + b"]}", Reason.INVALID_JSON),
        (b'{"landmarks": "\\ud800"}', Reason.INVALID_JSON),
        # halves of surrogate pairs beside NaN, which only Python's parser reads
        (b'{"\\ud800": NaN}', Reason.INVALID_JSON),
        (b'{"landmarks": [NaN], "\\uDFFF": 1}', Reason.INVALID_JSON),
        (b'{"landmarks": [{"x": "\\ud800"}, Infinity]}', Reason.INVALID_JSON),
        (b'{"\\ud83d\\ude00": NaN}', Reason.INVALID_REQUEST),
        (b'{"\\\\ud800": NaN}', Reason.INVALID_REQUEST),
        (b"[]", Reason.INVALID_REQUEST),
        (b"7", Reason.INVALID_REQUEST),
        (b"{}", Reason.INVALID_REQUEST),
        (b'{"landmarks": [], "imageSize": [1, 2]}', Reason.INVALID_REQUEST),
        (b'{"landmarks": []}', Reason.MISSING_LANDMARKS),
        (b'{"landmarks": [NaN, Infinity, -Infinity]}', Reason.MISSING_LANDMARKS),
        (b'{"landmarks": [Infinity]}', Reason.MISSING_LANDMARKS),
        (b'{"landmarks": {}}', Reason.MALFORMED_LANDMARKS),
    ],
)
def test_invalid_bodies_are_rejected_with_a_message(content: bytes, reason: Reason) -> None:
    error = rejected(content)
    assert error.reason is reason
    assert str(error)[0].isupper()
    assert str(error).endswith(".")


def test_error_names_the_position_of_invalid_json() -> None:
    message = str(rejected(b'{"landmarks": [1 2]}'))
    assert message.startswith("The body is not valid JSON: ")
    assert message.endswith(": line 1 column 18 (char 17).")
    assert str(rejected(b"[]")) == "The body must be a JSON object with the field landmarks."
    assert str(rejected(b"{}")) == "The field landmarks is missing."


@pytest.mark.parametrize("content", [b'{"\\ud800": NaN}', b'{"a\\ndfff": NaN}', b'{"\xf0\x9f\x98\x80": NaN}'])
def test_every_error_can_be_encoded(content: bytes) -> None:
    for text in (content, content.decode()):
        with pytest.raises(RejectedRequestError) as caught:
            decode_hand_request(text)
        orjson.dumps(str(caught.value))


def frame(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


def test_binary_frame() -> None:
    numbers = [number / 64 for number in range(126)]  # which float32 holds exactly
    hands = decode_frame(frame(*numbers), None).hands
    assert hands.shape == (2, 63)
    assert hands.dtype == np.float64
    assert hands.ravel().tolist() == numbers
    scaled = decode_frame(frame(*numbers[:63]), (640.0, 480.0)).hands
    assert scaled[0, :2].tolist() == [0, 480 / 64]


@pytest.mark.parametrize(
    ("message", "reason", "words"),
    [
        (b"x" * 251, Reason.MALFORMED_LANDMARKS, "252 bytes for each hand (63 little-endian float32)"),
        (frame(*[0.0] * 30, math.nan, *[0.0] * 32), Reason.MISSING_LANDMARKS, "Landmark 10 MIDDLE_FINGER_PIP has no"),
        (frame(*[0.0] * 62, 1e7), Reason.MALFORMED_LANDMARKS, "Landmark 20 PINKY_TIP is not numbers"),
        (frame(*[0.0] * 125, math.inf), Reason.MISSING_LANDMARKS, "Hand 1: landmark 20 PINKY_TIP has no"),
        (frame(*[0.0] * 125, -1e7), Reason.MALFORMED_LANDMARKS, "Hand 1: landmark 20 PINKY_TIP is not numbers"),
    ],
)
def test_bad_binary_frame(message: bytes, reason: Reason, words: str) -> None:
    with pytest.raises(RejectedRequestError) as caught:
        decode_frame(message, None)
    assert caught.value.reason is reason
    assert caught.value.status == 400
    assert words in str(caught.value)


@pytest.mark.parametrize("count", [1, 2])
def test_largest_coordinate_of_a_binary_frame_is_accepted(count: int) -> None:
    assert decode_frame(frame(*[*[-1e6, 1e6] * 31, 0] * count), None).hands.max() == 1e6


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("{}", StreamSettings(None, 0, "", always_lists=False)),
        ('{"image_size": [640, 480.5]}', StreamSettings((640, 480.5), 0, "", always_lists=False)),
        ('{"image_size": null, "hold_ms": null, "key": null}', StreamSettings(None, 0, "", always_lists=False)),
        ('{"hold_ms": 0}', StreamSettings(None, 0, "", always_lists=False)),
        ('{"hold_ms": 250}', StreamSettings(None, 0.25, "", always_lists=False)),
        ('{"hold_ms": 10000}', StreamSettings(None, 10, "", always_lists=False)),
        ('{"hold_ms": 0.5, "key": "é"}', StreamSettings(None, 0.0005, "é", always_lists=False)),
    ],
)
def test_stream_settings(message: str, expected: StreamSettings) -> None:
    assert decode_stream_settings(message) == expected


@pytest.mark.parametrize(
    ("message", "reason", "words"),
    [
        ("{", Reason.INVALID_JSON, "The settings are not valid JSON: "),
        ('{"key": "\\ud800"}', Reason.INVALID_JSON, "The settings are not valid JSON: "),
        ('{"hold_ms": NaN}', Reason.INVALID_JSON, "The settings are not valid JSON: "),
        ("[]", Reason.INVALID_REQUEST, "A stream begins with its settings: "),
        ('{"other": 1}', Reason.INVALID_REQUEST, "A stream begins with its settings: "),
        ('{"hold_ms": -1}', Reason.INVALID_REQUEST, "hold_ms must be a number of milliseconds from 0 to 10000."),
        ('{"hold_ms": 10000.5}', Reason.INVALID_REQUEST, "hold_ms must be"),
        ('{"hold_ms": true}', Reason.INVALID_REQUEST, "hold_ms must be"),
        ('{"hold_ms": "1"}', Reason.INVALID_REQUEST, "hold_ms must be"),
        ('{"key": 1}', Reason.INVALID_REQUEST, "key must be a string."),
        ('{"answers": "lists"}', Reason.INVALID_REQUEST, 'answers must be "list"'),
        ('{"gestures": NaN, "hold_ms": {', Reason.INVALID_JSON, "The settings are not valid JSON: unexpected"),
        ('{"image_size": [1]}', Reason.INVALID_IMAGE_SIZE, "image_size must be [width, height] in pixels"),
    ],
)
def test_bad_stream_settings(message: str, reason: Reason, words: str) -> None:
    with pytest.raises(RejectedRequestError) as caught:
        decode_stream_settings(message)
    assert caught.value.reason is reason
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(("side", "fits"), [(1e-9, True), (100_000, True), (100_001, False), (0, False)])
def test_limits_of_the_image_size(side: float, fits: bool) -> None:
    content = body(landmarks=LIKE, image_size=[side, 100])
    if fits:
        decode_hand_request(content)
    else:
        message = "image_size must be [width, height] in pixels, each above 0 and at most 100000."
        assert str(rejected(content)) == message


def test_message_names_the_missing_points() -> None:
    hand: list[Any] = [*LIKE]
    hand[4] = hand[8] = None
    error = rejected(body(landmarks=hand))
    assert str(error).startswith("Landmarks 4 THUMB_TIP and 8 INDEX_FINGER_TIP have no finite x, y, z.")
    assert error.missing_landmarks == 2


def test_hands_keep_their_order_and_may_have_different_formats() -> None:
    other = [[x + 0.1, y, z] for x, y, z in LIKE]
    hands = decode_hands_request(body(hands=[LIKE, as_objects(other), as_numbers(LIKE)]), max_hands=3)
    assert hands.tolist() == [as_numbers(LIKE), as_numbers(other), as_numbers(LIKE)]


def test_hands_share_their_frame() -> None:
    hands = decode_hands_request(body(hands=[LIKE, LIKE], image_size=IMAGE_SIZE), max_hands=2)
    assert hands[1].tolist() == decode_hand_request(body(landmarks=LIKE, image_size=IMAGE_SIZE))[0].tolist()


@pytest.mark.parametrize(
    ("hands", "reason", "message"),
    [
        ([], Reason.INVALID_REQUEST, f"^{NOT_HANDS}$"),
        (None, Reason.INVALID_REQUEST, f"^{NOT_HANDS}$"),
        ({}, Reason.INVALID_REQUEST, f"^{NOT_HANDS}$"),
        ([LIKE] * 4, Reason.TOO_MANY_HANDS, "There are 4 hands in this request; send at most 3"),
        ([LIKE, LIKE[:20]], Reason.MISSING_LANDMARKS, "Hand 1: landmark 20 PINKY_TIP"),
        ([LIKE, "x", LIKE], Reason.MALFORMED_LANDMARKS, "Hand 1: landmarks must be a list"),
    ],
)
def test_invalid_hands_are_rejected(hands: Any, reason: Reason, message: str) -> None:
    with pytest.raises(RejectedRequestError, match=message) as caught:
        decode_hands_request(body(hands=hands), max_hands=3)
    assert caught.value.reason is reason


def test_error_for_a_whole_mediapipe_result_names_the_field() -> None:
    with pytest.raises(RejectedRequestError) as caught:
        decode_hands_request(body(landmarks=[LIKE], handedness=[]), max_hands=3)
    assert str(caught.value) == "This is MediaPipe's whole result; send its landmarks in the field hands."


@pytest.mark.parametrize(
    ("count", "end"),
    [(1, ""), (2, " 1 more hand is incomplete."), (3, " 2 more hands are incomplete.")],
)
def test_error_names_all_hands_with_missing_landmarks(count: int, end: str) -> None:
    with pytest.raises(RejectedRequestError) as caught:
        decode_hands_request(body(hands=[LIKE[:20]] * count), max_hands=3)
    message = str(caught.value)
    assert message.endswith(end) if count > 1 else "So it is" not in message and message.endswith("z.")


def test_points_missing_from_several_hands_are_all_counted() -> None:
    with pytest.raises(RejectedRequestError, match="1 more hand") as caught:
        decode_hands_request(body(hands=[LIKE[:20], LIKE, LIKE[:19]]), max_hands=3)
    assert caught.value.missing_landmarks == 3


@pytest.mark.parametrize("count", range(9))
@pytest.mark.parametrize("time", [None, 0.0, -1.5, 1.7e12, sys.float_info.max])
def test_binary_frames_have_up_to_eight_hands_and_a_timestamp(count: int, time: float | None) -> None:
    prefix = b"" if time is None else struct.pack("<d", time)
    binary = decode_frame(prefix + as_frame(*[LIKE] * count), None)
    text = decode_frame(json.dumps({"hands": [LIKE] * count, "time": time}), None)
    assert (binary.time, text.time) == (time, time)
    assert binary.hands.shape == text.hands.shape == (count, 63)
    assert binary.hands == pytest.approx(text.hands, abs=1e-7)
    assert text.as_list
    assert binary.as_list == (count > 1)


def test_frame_of_one_hand_may_carry_the_time_in_text() -> None:
    frame = decode_frame(json.dumps({"landmarks": LIKE, "time": 5, "image_size": [200, 100]}), None)
    assert (frame.time, frame.as_list) == (5.0, False)
    assert frame.hands.tolist() == decode_hand_request(body(landmarks=LIKE, image_size=[200, 100])).tolist()


@pytest.mark.parametrize(
    ("message", "reason", "words"),
    [
        (as_frame(LIKE)[:-1], Reason.MALFORMED_LANDMARKS, "not 251."),
        (bytes(9), Reason.MALFORMED_LANDMARKS, "and 8 more with the client's time, not 9."),
        (as_frame(*[LIKE] * 9), Reason.TOO_MANY_HANDS, "There are 9 hands in this frame; send at most 8 at once."),
        (json.dumps({"hands": [None] * 9}), Reason.TOO_MANY_HANDS, "There are 9 hands in this frame"),
        (struct.pack("<d", float("inf")), Reason.INVALID_REQUEST, "finite number of milliseconds"),
        ('{"hands": [], "time": NaN}', Reason.INVALID_REQUEST, "finite number of milliseconds"),
        ('{"hands": [], "time": "1"}', Reason.INVALID_REQUEST, "finite number of milliseconds"),
        ('{"hands": [], "time": false}', Reason.INVALID_REQUEST, "finite number of milliseconds"),
        ('{"hands": [], "times": 1}', Reason.INVALID_REQUEST, "the fields are hands, image_size and time."),
        ('{"hands": null}', Reason.INVALID_REQUEST, "hands must be a list"),
        ('{"hold_ms": 150, "answers": "list"}', Reason.INVALID_REQUEST, "to change them, connect again"),
        ('{"hold_ms": 1, "answers": 1, "gestures": 1, "key": 1}', Reason.INVALID_REQUEST, "connect again"),
    ],
)
def test_invalid_frames_are_rejected_with_a_message(message: bytes | str, reason: Reason, words: str) -> None:
    with pytest.raises(RejectedRequestError) as caught:
        decode_frame(message, None)
    assert caught.value.reason is reason
    assert words in str(caught.value)


def test_timestamp_too_large_for_a_float_is_rejected() -> None:
    hand = [*as_objects(LIKE)]
    hand[0] = hand[0] | {"visibility": float("nan")}  # so that Python's parser reads it, which has no largest integer
    message = json.dumps({"landmarks": hand, "time": 10**400})
    with pytest.raises(RejectedRequestError, match="finite number of milliseconds"):
        decode_frame(message, None)


def test_requests_carry_no_time() -> None:
    assert "Unknown field time" in str(rejected(body(landmarks=LIKE, time=1)))


@pytest.mark.parametrize(
    ("settings", "expected"), [("{}", False), ('{"answers": null}', False), ('{"answers": "list"}', True)]
)
def test_answers_may_always_be_lists(settings: str, *, expected: bool) -> None:
    assert decode_stream_settings(settings).always_lists is expected


def test_error_for_hands_that_are_no_list_says_what_to_send() -> None:
    assert NOT_HANDS == "hands must be a list of at least one hand."
    with pytest.raises(RejectedRequestError) as caught:
        decode_frame('{"hands": 1}', None)
    assert str(caught.value) == NOT_HANDS


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("{}", False),
        ('{"gestures": null}', False),
        ('{"gestures": {}}', True),
        ('{"gestures": {"heart": {"hands": [[NaN]]}}}', True),  # what is wrong with them is said elsewhere
    ],
)
def test_settings_may_hold_gestures(message: str, *, expected: bool) -> None:
    assert decode_stream_settings(message).has_gestures is expected


@pytest.fixture
def _normalized() -> Iterator[None]:
    """A model with features in 0..1."""
    use_unit(Unit.IMAGE)
    yield
    use_unit(Unit.PIXELS)


@pytest.mark.usefixtures("_normalized")
def test_hands_are_read_in_the_unit_of_the_model() -> None:
    pixels = [[200 * x, 100 * y, z] for x, y, z in LIKE]
    fields = {"image_size": [200, 100]}
    for decoded in (
        decode_hand_request(body(landmarks=pixels, **fields)),
        decode_hands_request(body(hands=[pixels], **fields), max_hands=1),
        decode_frame(as_frame(pixels), (200, 100)).hands,
        decode_frame(json.dumps({"landmarks": pixels}), (200, 100)).hands,
        decode_frame(json.dumps({"hands": [pixels], **fields}), None).hands,
    ):
        assert decoded[0] == pytest.approx(as_numbers(LIKE), rel=1e-5)


def test_errors_count_no_missing_points_where_none_are_missing() -> None:
    assert rejected(b"{}").missing_landmarks == 0
