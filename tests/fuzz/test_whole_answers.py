"""An answer that begins arrives whole, whatever else its connection and its worker go through meanwhile.

A page once read an empty body from /predict. These are the ways in which that might happen: methods without a body in
their answer, requests sent before the answer to the last, answers that come before the body was read, the pause after a
503, clients that leave and come back, and workers that end.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from tests.hands import IMAGE_SIZE, LIKE
from tests.load import encode_request
from tests.server import Server, serve

HAND = orjson.dumps({"landmarks": LIKE, "image_size": IMAGE_SIZE})
CONNECTIONS = 24
REQUESTS = 150  # on each
PREFLIGHT = (
    b"OPTIONS /predict HTTP/1.1\r\nHost: a\r\nOrigin: https://game.example\r\n"
    b"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n"
)
# What is sent, whether its answer has a body, and the statuses that it may have
KINDS: dict[str, tuple[bytes, bool, set[int]]] = {
    "hand": (encode_request("a", "/predict", HAND), True, {200, 503}),
    "no json": (encode_request("a", "/predict", b"{"), True, {400, 503}),
    "unknown route": (encode_request("a", "/nothing", HAND), True, {405}),
    "too large": (encode_request("a", "/predict", b" " * 100_000), True, {413}),
    "preflight": (PREFLIGHT, True, {200}),
    "head": (b"HEAD /livez HTTP/1.1\r\nHost: a\r\n\r\n", False, {200}),
    "head of a prediction": (b"HEAD /predict HTTP/1.1\r\nHost: a\r\n\r\n", False, {405}),
    "upgrade": (
        encode_request("a", "/predict", HAND, ["Connection: Upgrade", "Upgrade: h2c"]),
        True,
        {200, 503},
    ),
}


class CutError(Exception):
    """An answer began and did not end."""


async def read_whole(reader: asyncio.StreamReader, kind: str) -> int | None:
    """Read an answer and hold it against what was sent; None if the connection ended before it began."""
    _, has_body, statuses = KINDS[kind]
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        if getattr(error, "partial", b""):
            raise CutError(kind, error) from None
        return None
    status = int(head.split(b" ", 2)[1])
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    try:
        body = await reader.readexactly(length if has_body else 0)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise CutError(kind, head, error) from None
    assert status in statuses, (kind, head, body)
    if has_body:
        assert body, (kind, head)
    if kind != "preflight" and has_body:
        answer = orjson.loads(body)
        assert ("gesture" in answer) == (status == 200), (kind, answer)
    return status


async def converse(server: Server, seed: int, outcomes: Counter[str], is_over: Callable[[], bool]) -> None:
    """Send requests of every kind over a connection, some before the answer to the last, and leave now and then."""
    choice = random.Random(seed)  # noqa: S311 (not for secrets)
    address = urlsplit(server.url)
    sent = 0
    while sent < REQUESTS and not is_over():
        try:
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
        except OSError:
            return
        is_open = True
        while is_open and sent < REQUESTS:
            kinds = choice.choices([*KINDS], k=choice.choice([1, 1, 1, 2, 3]))
            sent += len(kinds)
            leaves = choice.random() < 0.1
            for kind in kinds:
                request = KINDS[kind][0]
                cut = choice.randrange(1, len(request))
                writer.write(request[:cut])
                await asyncio.sleep(choice.choice([0, 0, 0.001]))
                writer.write(request[cut:])
            if leaves:
                outcomes["left"] += len(kinds)
                break
            for kind in kinds:
                status = await read_whole(reader, kind)
                outcomes["closed" if status is None else str(status)] += 1
                is_open = is_open and status is not None
        writer.close()


def run(server: Server, meanwhile: Callable[[], Awaitable[object]] | None = None) -> Counter[str]:
    outcomes: Counter[str] = Counter()

    async def main() -> None:
        other = asyncio.ensure_future(meanwhile()) if meanwhile else None
        is_over = other.done if other else bool
        await asyncio.gather(*(converse(server, seed, outcomes, is_over) for seed in range(CONNECTIONS)))
        if other:
            await other

    asyncio.run(main())
    print(f"\n{dict(outcomes)}")
    return outcomes


def test_on_an_idle_service(server: Server) -> None:
    outcomes = run(server)
    assert not outcomes["closed"]
    assert outcomes["200"] > REQUESTS


def test_on_an_overloaded_service(home: Path) -> None:
    with serve(home, MAX_IN_FLIGHT=1) as crowded:
        outcomes = run(crowded)
        assert not outcomes["closed"]
        assert outcomes["503"]


def test_during_shutdown(home: Path) -> None:
    with serve(home, WORKERS=2) as server:

        async def end() -> None:
            await asyncio.sleep(0.5)
            server.workers()[0].send_signal(signal.SIGTERM)
            await asyncio.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(server.process.wait)

        outcomes = run(server, end)
        assert server.process.returncode == 0
    assert outcomes["200"]
