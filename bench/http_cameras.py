"""Measures cameras that poll POST /predict 30 times per second, each on its own connection.

    python -m bench.http_cameras URL CAMERAS…

The clients are plain sockets under uvloop.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from urllib.parse import urlsplit

import orjson
import uvloop

from tests.hands import shaken_hands
from tests.load import encode_request

FRAMES_PER_SECOND = 30
SECONDS = 10.0
RAMP = 3.0
HANDS = 50
SECONDS_TO_FINISH = 5.0


@dataclass
class Polled:
    """Latencies in seconds, from the time when each frame was due, and responses other than 200."""

    seconds: list[float] = field(default_factory=list)
    sent: int = 0
    wrong: int = 0


class _Camera(asyncio.Protocol):
    """Sends each frame when it is due, without waiting for responses, which arrive in order."""

    def __init__(self, requests: Sequence[bytes], result: Polled) -> None:
        self._requests = requests
        self._result = result
        self._due: deque[float] = deque()
        self._received = b""
        self._next = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def start(self, first: float, until: float) -> None:
        """Send frames between two times of ``perf_counter``."""
        self._next, self._until = first, until
        self._tick()

    def _tick(self) -> None:
        now = perf_counter()
        while self._next <= now < self._until:
            self._due.append(self._next)
            self._transport.write(self._requests[self._result.sent % len(self._requests)])  # type: ignore[attr-defined]
            self._result.sent += 1
            self._next += 1 / FRAMES_PER_SECOND
        if now < self._until:
            asyncio.get_running_loop().call_later(self._next - now, self._tick)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while self._received.endswith(b"}") or b"}HTTP/1.1 " in self._received:
            answer, _, self._received = self._received.partition(b"}")
            self._result.wrong += not answer.startswith(b"HTTP/1.1 200 ")
            self._result.seconds.append(perf_counter() - self._due.popleft())


async def poll(url: str, cameras: int, seconds: float = SECONDS) -> Polled:
    """Run cameras for some time; they connect one after the other."""
    address = urlsplit(url)
    loop = asyncio.get_running_loop()
    requests = [encode_request(address.netloc, "/predict", orjson.dumps(body)) for body in shaken_hands(HANDS)]
    result = Polled()
    place = str(address.hostname), address.port or 80
    made = [await loop.create_connection(lambda: _Camera(requests, result), *place) for _ in range(cameras)]
    begin = perf_counter() + 0.1
    for index, (_, camera) in enumerate(made):
        first = begin + RAMP * index / cameras
        loop.call_later(first - perf_counter(), camera.start, first, begin + RAMP + seconds)
    await asyncio.sleep(begin + RAMP + seconds - perf_counter())  # until the cameras send no more
    deadline = perf_counter() + SECONDS_TO_FINISH
    while len(result.seconds) < result.sent and perf_counter() < deadline:
        await asyncio.sleep(0.01)
    return result


def report(url: str, cameras: int) -> dict[str, float]:
    """Lost frames and latencies in milliseconds."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        polled = runner.run(poll(url, cameras))
    percentiles = statistics.quantiles(polled.seconds, n=100)
    return {
        "lost": polled.sent - len(polled.seconds) + polled.wrong,
        "p50": 1000 * percentiles[49],
        "p99": 1000 * percentiles[98],
    }


def main() -> None:
    """Measure and print the latencies for each number of cameras."""
    url, *counts = sys.argv[1:]
    for cameras in map(int, counts):
        found = report(url, cameras)
        times = f"p50 {found['p50']:.2f}, p99 {found['p99']:.2f} ms"
        print(f"{cameras:5} cameras over HTTP: {found['lost']:.0f} lost, {times}")


if __name__ == "__main__":
    main()
