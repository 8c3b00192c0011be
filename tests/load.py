"""A load generator that checks responses; uses plain sockets, because an HTTP library would be the bottleneck."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import statistics
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import orjson
import uvloop

SECONDS_BEFORE_RECONNECTING = 0.01
SECONDS_TO_FINISH = 60
OVERLOAD = b'"reason":"overloaded"'


@dataclass(slots=True)
class Answer:
    """Status, body and duration in seconds of a response."""

    status: int
    body: bytes
    seconds: float

    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


def encode_request(host: str, route: str, body: bytes, headers: Iterable[str] = ()) -> bytes:
    """An HTTP/1.1 request as bytes."""
    lines = [
        f"POST {route} HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def post_all(
    url: str, route: str, bodies: Sequence[Any], *, connections: int, headers: Sequence[str] = ()
) -> list[Answer]:
    """Post bodies over several connections, each of which waits for a response before the next request.

    Returns:
        The answers, in the order of the bodies.
    """
    address = urlsplit(url)
    host = str(address.hostname)
    requests = [
        encode_request(host, route, body if isinstance(body, bytes) else orjson.dumps(body), headers) for body in bodies
    ]
    answers: list[Answer | None] = [None] * len(requests)

    async def connection(first: int) -> None:
        reader, writer = await asyncio.open_connection(host, address.port)
        try:
            for index in range(first, len(requests), connections):
                started = perf_counter()
                writer.write(requests[index])
                status, body = await read_response(reader)
                answers[index] = Answer(status, body, perf_counter() - started)
        finally:
            writer.close()

    await asyncio.gather(*(connection(first) for first in range(min(connections, len(requests)))))
    return [answer for answer in answers if answer is not None]


@dataclass(frozen=True, slots=True)
class Expected:
    """A body, with the status and a part of the body of the expected response."""

    body: bytes
    status: int
    part: bytes


@dataclass(slots=True)
class Outcome:
    """Result of a request: start, duration in seconds, status, and whether the response was correct.

    ``is_overload``: the service answered that it is overloaded; a 503 of a proxy's does not.
    """

    started: float
    seconds: float
    status: int
    is_right: bool
    is_overload: bool


@dataclass
class Traffic:
    """Results of a load so far.

    ``lost`` counts requests whose connection broke before the answer, ``refused`` the connections that were not made.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    lost: int = 0
    refused: int = 0

    def between(self, start: float, end: float, status: int = 200) -> list[Outcome]:
        """Results with a status, of requests that started within a period (of ``perf_counter``)."""
        return [o for o in self.outcomes if start <= o.started < end and o.status == status]

    def wrong(self) -> list[Outcome]:
        """Incorrect responses."""
        return [outcome for outcome in self.outcomes if not outcome.is_right]


def percentile(outcomes: Iterable[Outcome], percent: int) -> float:
    """Percentile of the durations."""
    return statistics.quantiles([outcome.seconds for outcome in outcomes], n=100)[percent - 1]


@contextlib.contextmanager
def traffic(
    url: str, expected: Sequence[Expected], *, connections: int, patience: float = 0, interval: float = 0
) -> Iterator[Traffic]:
    """Keep connections to /predict busy within the context; each waits for a response before the next request.

    A broken connection is made anew. When the context is left, what was sent is still waited for.

    Args:
        url: the service.
        expected: what to send, one after the other, over and over.
        connections: how many.
        patience: seconds to wait after a 503.
        interval: least seconds between two requests of a connection.
    """
    result = Traffic()
    stop = threading.Event()
    work = _keep_busy(url, expected, connections, patience, interval, result, stop)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        thread = threading.Thread(target=runner.run, args=(work,))
        thread.start()
        try:
            yield result
        finally:
            stop.set()
            thread.join()


async def _keep_busy(
    url: str,
    expected: Sequence[Expected],
    connections: int,
    patience: float,
    interval: float,
    result: Traffic,
    stop: threading.Event,
) -> None:
    address = urlsplit(url)
    host, port = str(address.hostname), address.port
    calls = itertools.cycle([(encode_request(host, "/predict", e.body), e) for e in expected])

    async def connection() -> None:
        while not stop.is_set():
            try:
                reader, writer = await asyncio.open_connection(host, port)
            except OSError:
                result.refused += 1
                await asyncio.sleep(SECONDS_BEFORE_RECONNECTING)
                continue
            try:
                while not stop.is_set():
                    if reader.at_eof():  # a server may close idle connections
                        break
                    request, wanted = next(calls)
                    started = perf_counter()
                    writer.write(request)
                    status, body = await asyncio.wait_for(read_response(reader), SECONDS_TO_FINISH)
                    is_right = status == wanted.status and wanted.part in body
                    result.outcomes.append(
                        Outcome(started, perf_counter() - started, status, is_right, OVERLOAD in body)
                    )
                    pause = patience if status == 503 else started + interval - perf_counter()
                    if pause > 0:
                        await asyncio.sleep(pause)
            except (OSError, EOFError, TimeoutError):
                result.lost += 1
                await asyncio.sleep(SECONDS_BEFORE_RECONNECTING)
            finally:
                writer.close()

    await asyncio.gather(*(connection() for _ in range(connections)))


async def read_response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read status and body of the next response; closes the connection if the response says so."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head.split(b" ", 2)[1])
    _, _, rest = head.partition(b"content-length:")
    body = await reader.readexactly(int(rest.partition(b"\r\n")[0]))
    if b"\r\nconnection: close\r\n" in head:
        reader.feed_eof()
    return status, body
