"""A load generator that checks answers: plain sockets, because an HTTP library would be the bottleneck."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import orjson


@dataclass(slots=True)
class Answer:
    """Status and body of a response, and the seconds that it took."""

    status: int
    body: bytes
    seconds: float

    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


def encode_request(host: str, route: str, body: bytes, headers: Iterable[str] = ()) -> bytes:
    """An HTTP/1.1 request as it goes over the wire."""
    lines = [
        f"POST {route} HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def post_all(url: str, route: str, bodies: Sequence[Any], *, connections: int) -> list[Answer]:
    """Post bodies over a number of connections at once, each sending its next when it has the answer to its last.

    Returns:
        The answers, in the order of the bodies.
    """
    address = urlsplit(url)
    host = str(address.hostname)
    requests = [encode_request(host, route, body if isinstance(body, bytes) else orjson.dumps(body)) for body in bodies]
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


async def read_response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next response on a connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head.split(b" ", 2)[1])
    _, _, rest = head.partition(b"content-length:")
    return status, await reader.readexactly(int(rest.partition(b"\r\n")[0]))
