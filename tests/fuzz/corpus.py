"""Malicious and careless bodies by name, each with the reason of its rejection (None: valid)."""

from __future__ import annotations

import gzip
import json
import pickle
from typing import Any

import orjson

from hand_gesture.errors import Reason
from hand_gesture.settings import Settings
from hand_gesture.web.decoding import MAX_HAND_BYTES
from tests.hands import (
    IMAGE_SIZE,
    LIKE,
    as_numbers,
    as_objects,
    as_planar_numbers,
    as_planar_objects,
    with_z_in_pixels,
)

MAX_HANDS = Settings.model_fields["max_hands"].default
MAX_BODY_BYTES = Settings.model_fields["max_body_bytes"].default
NUMBERS = as_numbers(LIKE)
BAD_SIZES: list[Any] = [
    *([0, 0], [-640, 480], [640], [640, 480, 3], ["640", "480"], [True, True], [1e6, 1e6], [None, 1]),
    *(640, "640x480", {}),
]


def with_number(text: str) -> bytes:
    """A valid hand whose first coordinate is ``text``."""
    return b'{"landmarks": [%b, %b]}' % (text.encode(), json.dumps(NUMBERS[1:])[1:-1].encode())


def with_size(value: Any) -> bytes:
    """A valid hand with an ``image_size``."""
    return json.dumps({"landmarks": LIKE, "image_size": value}).encode()


def hand(value: Any) -> bytes:
    """A body with a value as its hand."""
    return json.dumps({"landmarks": value}).encode()


GOOD = hand(LIKE)

# For /predict
ONE_HAND: dict[str, tuple[bytes, Reason | None]] = {
    "good": (GOOD, None),
    "good objects": (hand(as_objects(LIKE)), None),
    "good numbers": (hand(NUMBERS), None),
    "good objects without z": (hand(as_planar_objects(LIKE)), None),
    "good numbers without z": (hand(as_planar_numbers(LIKE)), None),
    # formats of other backends
    "coordinates side by side": (
        json.dumps({f"{axis}{i}": 0.5 for i in range(1, 22) for axis in "xyz"}).encode(),
        Reason.INVALID_REQUEST,
    ),
    "data": (json.dumps({"data": NUMBERS}).encode(), Reason.INVALID_REQUEST),
    "a result of MediaPipe": (
        json.dumps({"landmarks": [LIKE], "worldLandmarks": [LIKE], "handedness": []}).encode(),
        Reason.INVALID_REQUEST,
    ),
    "an image": (json.dumps({"image": "data:image/png;base64,iVBORw0KGgo="}).encode(), Reason.INVALID_REQUEST),
    # empty, truncated, not JSON
    "empty": (b"", Reason.INVALID_JSON),
    "spaces": (b" \t\r\n", Reason.INVALID_JSON),
    "null byte": (b"\0", Reason.INVALID_JSON),
    "truncated": (GOOD[:-20], Reason.INVALID_JSON),
    "two documents": (GOOD + GOOD, Reason.INVALID_JSON),
    "trailing comma": (GOOD[:-1] + b",}", Reason.INVALID_JSON),
    "comment": (b"/* hello */" + GOOD, Reason.INVALID_JSON),
    "form": (b"landmarks=1&image_size=2", Reason.INVALID_JSON),
    "gzip": (gzip.compress(GOOD), Reason.INVALID_JSON),
    "pickle": (pickle.dumps(LIKE), Reason.INVALID_JSON),
    "null": (b"null", Reason.INVALID_REQUEST),
    "number": (b"1", Reason.INVALID_REQUEST),
    "string": (b'"landmarks"', Reason.INVALID_REQUEST),
    "list": (b"[]", Reason.INVALID_REQUEST),
    "no field": (b"{}", Reason.INVALID_REQUEST),
    "another field": (json.dumps({"landmarks": LIKE, "Image_Size": IMAGE_SIZE}).encode(), Reason.INVALID_REQUEST),
    "endless field name": (json.dumps({"a" * 60_000: 1}).encode(), Reason.INVALID_REQUEST),
    # encodings
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, Reason.INVALID_JSON),
    "utf-16": (GOOD.decode().encode("utf-16"), Reason.INVALID_JSON),
    "utf-32": (GOOD.decode().encode("utf-32"), Reason.INVALID_JSON),
    "latin-1": ('{"landmarks": "é"}'.encode("latin-1"), Reason.INVALID_JSON),
    "overlong utf-8": (b'{"landmarks": "\xc0\xaf"}', Reason.INVALID_JSON),
    "no utf-8 beside NaN": (b'{"landmarks": [NaN, "\x80"]}', Reason.INVALID_JSON),
    "line break in a field's name": (b'{"\\n": 1, "landmarks": []}', Reason.INVALID_REQUEST),
    "lone surrogate": (b'{"landmarks": "\\ud800"}', Reason.INVALID_JSON),
    "lone surrogate beside NaN": (b'{"\\ud800": NaN}', Reason.INVALID_JSON),
    "control character in a string": (b'{"landmarks": "\x01"}', Reason.INVALID_JSON),
    # depth and size
    "nested lists": (b'{"landmarks": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", Reason.INVALID_JSON),
    "nested objects": (b'{"landmarks": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}", Reason.INVALID_JSON),
    "nested as deep as is read": (hand(None).replace(b"null", b"[" * 900 + b"]" * 900), Reason.MALFORMED_LANDMARKS),
    "unclosed lists": (b"[" * 60_000, Reason.INVALID_JSON),
    "thousands of points": (hand([[0.5, 0.5, 0]] * 1000), Reason.MALFORMED_LANDMARKS),
    "thousands of numbers": (hand([1] * 20_000), Reason.MALFORMED_LANDMARKS),
    "thousands of nulls": (hand([None] * 10_000), Reason.MALFORMED_LANDMARKS),
    "a good hand in much space": (GOOD + b" " * (MAX_HAND_BYTES - len(GOOD)), None),
    "a byte too many": (GOOD + b" " * (MAX_HAND_BYTES + 1 - len(GOOD)), Reason.BODY_TOO_LARGE),
    "megabytes": (b" " * 50_000_000, Reason.BODY_TOO_LARGE),
    # numbers
    **{
        f"{text} as a number": (with_number(text), Reason.MISSING_LANDMARKS)
        for text in ("NaN", "Infinity", "-Infinity", "null")
    },
    **{
        f"{text} as a number": (with_number(text), Reason.INVALID_JSON)
        for text in ("nan", "inf", "-inf", "+1", "01", "1.", ".5", "0x10", "1_000", "-", "1e", "--1", "undefined", "")
    },
    "1e400": (with_number("1e400"), Reason.INVALID_JSON),
    "-1e400": (with_number("-1e400"), Reason.INVALID_JSON),
    "1e-400": (with_number("1e-400"), None),
    "1e308": (with_number("1e308"), Reason.MALFORMED_LANDMARKS),
    "many": (with_number("1e6"), None),
    "more than many": (with_number("1000000.1"), Reason.MALFORMED_LANDMARKS),
    "2^64": (with_number(str(2**64)), Reason.MALFORMED_LANDMARKS),
    "ten thousand digits": (with_number("9" * 10_000), Reason.INVALID_JSON),
    "ten thousand decimals": (with_number("0." + "3" * 10_000), None),
    "a string as a number": (with_number('"0.5"'), Reason.MALFORMED_LANDMARKS),
    "true as a number": (with_number("true"), Reason.MALFORMED_LANDMARKS),
    "a list as a number": (with_number("[1]"), Reason.MALFORMED_LANDMARKS),
    # hands
    "hand null": (hand(None), Reason.MISSING_LANDMARKS),
    "hand empty": (hand([]), Reason.MISSING_LANDMARKS),
    "hand a string": (hand("21 points"), Reason.MALFORMED_LANDMARKS),
    "hand an object": (hand({"0": LIKE[0]}), Reason.MALFORMED_LANDMARKS),
    "20 points": (hand(LIKE[:20]), Reason.MISSING_LANDMARKS),
    "22 points": (hand([*LIKE, LIKE[0]]), Reason.MALFORMED_LANDMARKS),
    "62 numbers": (hand(NUMBERS[:62]), Reason.MISSING_LANDMARKS),
    "64 numbers": (hand([*NUMBERS, 0]), Reason.MALFORMED_LANDMARKS),
    "one coordinate": (hand([point[:1] for point in LIKE]), Reason.MISSING_LANDMARKS),
    "two coordinates": (hand([point[:2] for point in LIKE]), None),
    "z of some points only": (hand([*LIKE[:10], *(point[:2] for point in LIKE[10:])]), None),
    "z null": (hand([[x, y, None] for x, y, _ in LIKE]), Reason.MISSING_LANDMARKS),
    "z in pixels": (hand(with_z_in_pixels(LIKE)), None),
    "41 numbers": (hand(NUMBERS[:41]), Reason.MISSING_LANDMARKS),
    "a hand in a list": (hand([LIKE]), None),
    "numbers in a list": (hand([NUMBERS]), None),
    "a hand in a list in a list": (hand([[LIKE]]), Reason.MALFORMED_LANDMARKS),
    "20 points in a list": (hand([LIKE[:20]]), Reason.MISSING_LANDMARKS),
    "a list in a list": (hand([[]]), Reason.MISSING_LANDMARKS),
    "four coordinates": (hand([[*point, 0] for point in LIKE]), Reason.MALFORMED_LANDMARKS),
    "forms mixed": (hand([*LIKE[:10], *as_objects(LIKE)[10:]]), Reason.MALFORMED_LANDMARKS),
    "points null": (hand([None] * 21), Reason.MISSING_LANDMARKS),
    "empty objects": (hand([{}] * 21), Reason.MISSING_LANDMARKS),
    "two hands": (hand([LIKE, LIKE]), Reason.MALFORMED_LANDMARKS),
    "all points equal": (hand([[0.5, 0.5, 0]] * 21), None),
    "all points zero": (hand([[0, 0, 0]] * 21), None),
    "collinear": (hand([[number / 21, number / 21, 0] for number in range(21)]), None),
    "enormous": (hand([[(-1) ** number * 1e6, 1e6, -1e6] for number in range(21)]), None),
    "tiny": (hand([[number * 1e-300, 0, 0] for number in range(21)]), None),
    "keys twice": (b'{"landmarks": 1, "landmarks"' + GOOD[len('{"landmarks"') :], None),
    "keys twice in points": (hand(as_objects(LIKE)).replace(b'{"x": ', b'{"x": null, "x": '), None),
    # frames
    "size null": (with_size(None), None),
    **{f"size {json.dumps(size)}": (with_size(size), Reason.INVALID_IMAGE_SIZE) for size in BAD_SIZES},
    "size NaN": (with_size([0, 0]).replace(b"[0, 0]", b"[NaN, NaN]"), Reason.INVALID_IMAGE_SIZE),
    "size tiny": (with_size([5e-324, 5e-324]), None),
    "size tiny and z in pixels": (
        json.dumps({"landmarks": with_z_in_pixels(LIKE), "image_size": [5e-324, 5e-324]}).encode(),
        None,
    ),
    "size huge": (with_size([1e5, 1e5]), None),
}


def several(hands: bytes) -> bytes:
    """A body for /predict_batch."""
    return b'{"hands": [%b]}' % hands


def repeat(text: bytes, count: int) -> bytes:
    """The content of a JSON list."""
    return b",".join([text] * count)


def fill(text: bytes) -> bytes:
    """The content of a JSON list of the maximum size of a body."""
    return repeat(text, (MAX_BODY_BYTES - 100) // (len(text) + 1))


PRECISE = [[x + 1e-16, y + 1e-16, z - 1 / 3e7] for x, y, z in LIKE]  # all digits of a double
COMPACT: bytes = orjson.dumps(LIKE)
# For /predict_batch: bodies that are malicious only by their size
SEVERAL_HANDS: dict[str, tuple[bytes, Reason | None]] = {
    "good": (several(repeat(COMPACT, 2)), None),
    "as many as allowed": (several(repeat(COMPACT, MAX_HANDS)), None),
    "as many as allowed, as browsers write them": (several(repeat(orjson.dumps(as_objects(PRECISE)), MAX_HANDS)), None),
    "one too many": (several(repeat(COMPACT, MAX_HANDS + 1)), Reason.TOO_MANY_HANDS),
    "many empty hands": (several(fill(b"[]")), Reason.TOO_MANY_HANDS),
    "many numbers": (several(fill(b"1")), Reason.TOO_MANY_HANDS),
    "no hands": (several(b""), Reason.INVALID_REQUEST),
    "hands an object": (b'{"hands": {"0": %b}}' % COMPACT, Reason.INVALID_REQUEST),
    "one hand unwrapped": (b'{"hands": %b}' % COMPACT, Reason.MISSING_LANDMARKS),
    "landmarks instead": (GOOD, Reason.INVALID_REQUEST),
    "empty hands": (several(repeat(b"[]", MAX_HANDS)), Reason.MISSING_LANDMARKS),
    "null hands": (several(repeat(b"null", MAX_HANDS)), Reason.MISSING_LANDMARKS),
    "hands of nulls": (several(repeat(b"[%b]" % repeat(b"null", 63), MAX_HANDS)), Reason.MISSING_LANDMARKS),
    "hands of null triples": (
        several(repeat(b"[%b]" % repeat(b"[null,null,null]", 21), MAX_HANDS)),
        Reason.MISSING_LANDMARKS,
    ),
    "hands of empty objects": (several(repeat(b"[%b]" % repeat(b"{}", 21), MAX_HANDS)), Reason.MISSING_LANDMARKS),
    "the last hand lacks a point": (
        several(repeat(COMPACT, MAX_HANDS - 1) + b"," + orjson.dumps(LIKE[:20])),
        Reason.MISSING_LANDMARKS,
    ),
    "the last hand is a string": (several(repeat(COMPACT, MAX_HANDS - 1) + b',"hand"'), Reason.MALFORMED_LANDMARKS),
    "a hand of many points": (several(b"[%b]" % fill(b"[1,2,3]")), Reason.MALFORMED_LANDMARKS),
    "a hand of many numbers": (several(b"[%b]" % fill(b"1")), Reason.MALFORMED_LANDMARKS),
    "a hand of many nulls": (several(b"[%b]" % fill(b"null")), Reason.MALFORMED_LANDMARKS),
    "a hand of many objects": (several(b"[%b]" % fill(b"{}")), Reason.MALFORMED_LANDMARKS),
    "a point of many numbers": (several(b"[[%b]]" % fill(b"1")), Reason.MALFORMED_LANDMARKS),
    "a point of many keys": (
        several(b"[{%b}]" % b",".join(b'"%d":1' % number for number in range(180_000))),
        Reason.MISSING_LANDMARKS,
    ),
    "many strings": (several(fill(b'""')), Reason.TOO_MANY_HANDS),
    "nested lists": (several(b"[" * 990_000 + b"]" * 990_000), Reason.INVALID_JSON),
    "NaN in megabytes": (several(b"[NaN,%b]" % fill(b"1")), Reason.MALFORMED_LANDMARKS),
    "NaN in nested lists": (several(b"NaN," + b"[" * 990_000 + b"]" * 990_000), Reason.INVALID_JSON),
    "a string of megabytes": (several(b'"%b"' % (b"\\u00e9" * 300_000)), Reason.MALFORMED_LANDMARKS),
    "many digits": (several(b"[%b]" % (b"9" * 1_990_000)), Reason.INVALID_JSON),
    "NaN and many digits": (several(b"[NaN,%b]" % (b"9" * 1_990_000)), Reason.INVALID_JSON),
    "megabytes": (b" " * 50_000_000, Reason.BODY_TOO_LARGE),
}
