"""Slow, stalled and disconnecting clients get errors without affecting others."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest

from hand_gesture.errors import Reason
from tests.fuzz.account import account
from tests.hands import IMAGE_SIZE, LIKE
from tests.server import Server, serve

BODY = orjson.dumps({"landmarks": LIKE, "image_size": IMAGE_SIZE})
HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LAST_CHUNKED = HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST_SIZED = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY)
SIZED = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY)
GONE = 'hand_gesture_requests_total{route="/predict",status="499"}'
SECONDS = 60


@contextlib.contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=SECONDS) as connection:
        yield connection


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answers(server: Server) -> bool:
    answer = server.client.post("/predict", content=BODY, headers={"Content-Type": "application/json"})
    return bool(answer.json()["gesture"] == "like")


def test_body_may_come_in_chunks(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(LAST_CHUNKED + b"".join(chunk(bytes([byte])) for byte in BODY) + chunk(b""))
        assert b'"gesture":"like"' in read_all(connection)


def test_endless_chunks_are_rejected_while_reading(server: Server) -> None:
    with account(server) as change, connected(server) as connection:
        connection.sendall(CHUNKED)
        for _ in range(100):  # as many again as are read
            connection.sendall(chunk(b" " * 1000))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")
    assert change.rejections == {Reason.BODY_TOO_LARGE: 1}


@pytest.mark.parametrize("beginning", [CHUNKED, CHUNKED + chunk(BODY[:100]), SIZED, SIZED + BODY[:-1]])
def test_incomplete_body_times_out_without_affecting_others(server: Server, beginning: bytes) -> None:
    with account(server) as change, connected(server) as connection:
        started = time.monotonic()
        connection.sendall(beginning)
        assert answers(server)
        response = read_all(connection)
        assert time.monotonic() - started > 1.5  # of the 2 that it has
        assert response.startswith(b"HTTP/1.1 408 ")
        assert b'"reason":"body_too_slow"' in response
    assert change.rejections == {Reason.BODY_TOO_SLOW: 1}


def test_slow_bodies_take_no_place_in_the_queue(home: Path) -> None:
    with serve(home, MAX_IN_FLIGHT=8, REQUEST_TIMEOUT_SECONDS=60) as server, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connected(server)) for _ in range(100)]
        for connection in slow:
            connection.sendall(LAST_SIZED + BODY[:-1])
        wait_for(lambda: server.metrics()["hand_gesture_requests_in_flight"] == len(slow))
        assert all(answers(server) for _ in range(20))
        for connection in slow:
            connection.sendall(BODY[-1:])
            assert b'"gesture":"like"' in read_all(connection)


@pytest.mark.parametrize("beginning", [CHUNKED + chunk(BODY[:100]), SIZED, SIZED + BODY[:-1]])
def test_disconnected_client_is_counted_and_cleaned_up(server: Server, beginning: bytes) -> None:
    before = server.metrics().get(GONE, 0)
    with account(server) as change:
        for _ in range(50):
            with connected(server) as connection:
                connection.sendall(beginning)
        wait_for(lambda: server.metrics().get(GONE, 0) == before + 50)
        wait_for(lambda: server.metrics()["hand_gesture_requests_in_flight"] == 0)
    assert change.rejections == {}
    assert answers(server)


def test_disconnecting_client_does_not_affect_others(server: Server) -> None:
    for _ in range(200):
        with connected(server) as connection:
            connection.sendall(SIZED + BODY)
    wait_for(lambda: server.metrics()["hand_gesture_requests_in_flight"] == 0)
    assert answers(server)
    assert '"level": "error"' not in server.log.read_text()


@pytest.mark.parametrize(
    "request_",
    [
        b"\r\n\r\n\0\xff",
        b"GET\r\n\r\n",
        b"POST /predict HTTP/9.9\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n",
        HEAD + b"Connection: close\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
    ],
    ids=["noise", "no path", "HTTP/9.9", "negative length", "two lengths", "huge chunk", "huge header"],
)
def test_malformed_http_is_rejected(server: Server, request_: bytes) -> None:
    with connected(server) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(request_)
        assert read_all(connection)[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 431", b"HTTP/1.1 408")
    assert answers(server)
