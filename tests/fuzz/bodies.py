"""Generates bodies for /predict: valid hands, and slightly or completely invalid ones."""

from __future__ import annotations

import json
import math
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from hand_gesture.landmarks import MAX_COORDINATE
from tests.hands import FORMS, IMAGE_SIZE, REFERENCE

NUMBERS = st.one_of(
    st.floats(-MAX_COORDINATE, MAX_COORDINATE),
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, -0.0, 1e6, -1e6, math.nextafter(1e6, math.inf), 5e-324, math.nan, math.inf, -math.inf]),
)
# Including lone surrogates, which JSON can express but UTF-8 cannot encode
# Without words that errors must not contain, because errors quote unknown fields
TEXT = st.text(st.characters() | st.sampled_from("\ud800\udfff"), max_size=5).filter(
    lambda text: text != "numpy" and ".py" not in text
)
NAMES = st.sampled_from(["landmarks", "image_size", "hands", "", "x1", "image", "worldLandmarks", "\ud800"]) | TEXT
VALUES = st.one_of(
    NUMBERS,
    st.none(),
    st.booleans(),
    TEXT,
    st.recursive(
        NUMBERS | st.none(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("xyzw"), inner, max_size=4),
        max_leaves=8,
    ),
)
SIZES = st.one_of(
    st.none(), st.just(IMAGE_SIZE), st.lists(st.integers(1, 10_000), min_size=2, max_size=2), st.lists(VALUES), VALUES
)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """A request with up to four values replaced, removed or duplicated."""
    hand = draw(st.sampled_from(FORMS))(deepcopy(draw(st.sampled_from([*REFERENCE.hands.values()]))))
    request: dict[str, Any] = {"landmarks": hand}
    if draw(st.booleans()):
        request["image_size"] = draw(SIZES)
    for _ in range(draw(st.integers(0, 4))):
        _spoil(draw, hand)
    if draw(st.integers(0, 4)) == 0:
        request[draw(NAMES)] = draw(VALUES)
    return request


def _spoil(draw: st.DrawFn, hand: list[Any]) -> None:
    if not hand:
        return
    place: Any = draw(st.integers(0, len(hand) - 1))
    container: Any = hand
    if isinstance(hand[place], list | dict) and hand[place] and draw(st.booleans()):
        container = hand[place]
        place = draw(st.sampled_from([*container] if isinstance(container, dict) else range(len(container))))
    change = draw(st.sampled_from(["replace", "replace", "remove", "double"]))
    if change == "replace":
        container[place] = draw(VALUES)
    elif change == "remove":
        del container[place]
    elif isinstance(container, list):
        container.insert(place, container[place])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A request as JSON, with Python's NaN and Infinity, sometimes with modified bytes."""
    body = bytearray(json.dumps(draw(requests()), ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass"))
    if draw(st.integers(0, 4)) == 0:
        for _ in range(draw(st.integers(1, 3))):
            start = draw(st.integers(0, len(body)))
            body[start : start + draw(st.integers(0, 3))] = draw(st.binary(max_size=3) | st.sampled_from(JSON_PIECES))
    return bytes(body)


JSON_PIECES = [
    *map(str.encode, '{}[]",:.-+eE0189'),
    b"\\",
    b"NaN",
    b"-Infinity",
    b"null",
    b"1e400",
    b"\xef\xbb\xbf",
    b"\0",
]
