"""How a running service counts requests."""

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
    """Changes of the service's metrics within a context: rejections by reason, missing landmarks."""

    rejections: dict[str, float] = field(default_factory=dict)
    missing_points: float = 0


@contextlib.contextmanager
def account(server: Server) -> Iterator[Account]:
    """Compare the metrics before and after the context."""
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
    """CPU seconds to parse or reject a body of /predict_batch."""
    gc.disable()  # rare in the service, too, which calls gc.freeze() when ready
    started = time.process_time()
    with contextlib.suppress(RejectedRequestError):
        decode_hands_request(body, max_hands=MAX_HANDS)
    seconds = time.process_time() - started
    gc.enable()
    return seconds


class Connection:
    """A persistent connection with less overhead than an HTTP library."""

    def __init__(self, server: Server) -> None:
        address = urlsplit(server.url)
        self._connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)

    def post(self, route: str, body: bytes) -> Answer:
        """Post a body as JSON."""
        self._connection.request("POST", route, body, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        return Answer(response.status, response.read(), 0)
