"""How a running service counts bodies, and what they cost it."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psutil

from tests.load import Answer
from tests.server import Server

REJECTIONS = "hand_gesture_invalid_requests_total"
MISSING = "hand_gesture_missing_landmarks_total"


@dataclass
class Account:
    """How the service's figures changed within a context: rejections by reason, missing points."""

    rejections: dict[str, float] = field(default_factory=dict)
    missing_points: float = 0


@contextlib.contextmanager
def account(server: Server) -> Iterator[Account]:
    """Watch the figures; they are there when the context is left."""
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


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """CPU that processes have used."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def least_cost(send: Callable[[], object], processes: Sequence[psutil.Process]) -> float:
    """CPU seconds for a request: the least of some times, for the machine and the service do other things, too."""
    costs = []
    for _ in range(10):
        before = cpu_seconds(processes)
        send()
        costs.append(cpu_seconds(processes) - before)
    return min(costs)


class Connection:
    """A connection kept open, with less between than an HTTP client for people."""

    def __init__(self, server: Server) -> None:
        address = urlsplit(server.url)
        self._connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)

    def post(self, route: str, body: bytes) -> Answer:
        """Post a body as JSON."""
        self._connection.request("POST", route, body, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        return Answer(response.status, response.read(), 0)
