"""Valid and invalid bodies for load, with the expected responses."""

from __future__ import annotations

import orjson

from hand_gesture.web.decoding import decode_hand_request
from tests.fuzz.corpus import ONE_HAND
from tests.hands import CLASSIFIER, IMAGE_SIZE, LIKE, shaken_hands
from tests.load import Expected


def good_hands(count: int = 500) -> list[Expected]:
    """Different hands with their gestures."""
    bodies = [orjson.dumps(body) for body in shaken_hands(count)]
    gestures = [CLASSIFIER.predict(decode_hand_request(body))[0].gesture for body in bodies]
    return [
        Expected(body, 200, b'"gesture":"%b"' % gesture.encode())
        for body, gesture in zip(bodies, gestures, strict=True)
    ]


def bad_bodies() -> list[Expected]:
    """Invalid bodies of the corpus of the size of one hand; larger ones would only add load."""
    return [
        Expected(body, 400, b'"reason":"%b"' % reason.encode())
        for body, reason in ONE_HAND.values()
        if reason and len(body) < 4000
    ]


def one_in_five_bad() -> list[Expected]:
    """Four valid hands, then an invalid body, and so on."""
    good, bad = good_hands(), bad_bodies()
    return [bad[index // 5 % len(bad)] if index % 5 == 4 else good[index] for index in range(len(good))]


def marked(z: float) -> bytes:
    """A hand whose wrist has this z."""
    return orjson.dumps({"landmarks": [[*LIKE[0][:2], z], *LIKE[1:]], "image_size": IMAGE_SIZE})
