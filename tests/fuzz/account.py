"""How a running service counts bodies."""

from __future__ import annotations

import contextlib
import gc
import http.client
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from hand_gesture.errors import RejectedRequestError
from hand_gesture.settings import Settings
from hand_gesture.web.decoding import decode_hands_request
from tests.load import Answer
from tests.server import Server

MAX_HANDS = Settings.model_fields["max_hands"].default
REJECTIONS = "hand_gesture_invalid_requests_total"
MISSING = "hand_gesture_missing_landmarks_total"


@dataclass
class Account:
    """How the service's figures changed within a context: rejections by reason, missing points."""

    rejections: dict[str, float] = field(default_factory=dict)
    missing_points: float = 0


@contextlib.contextmanager
def account(server: Server) -> Iterator[Account]:
    """Watchdog the figures; they are there when the context is left."""
    result = Account()
    before = server.metrics()
    yield result
    after = server.metrics()
    result.missing_points = after[MISSING] - before[MISSING]
    result.rejections = {
        name.split('"')[1]: value - before[name]
        for name, value in after.items()
        if name.startswith(REJECTIONS) and value != before[name]
    }


def reading_cost(body: bytes) -> float:
    """CPU seconds that it takes to read a body of /predict_batch, or to refuse it."""
    gc.disable()  # as rare in the service, which freezes what is alive when it is ready
    started = time.process_time()
    with contextlib.suppress(RejectedRequestError):
        decode_hands_request(body, max_hands=MAX_HANDS)
    seconds = time.process_time() - started
    gc.enable()
    return seconds


class Connection:
    """A connection kept open, with less between than an HTTP client for people."""

    def __init__(self, server: Server) -> None:
        address = urlsplit(server.url)
        self._connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)

    def post(self, route: str, body: bytes) -> Answer:
        """Post a body as JSON."""
        self._connection.request("POST", route, body, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        return Answer(response.status, response.read(), 0)
