"""What bento/http_connection.py relies on in uvicorn: ignored upgrades, and keep-alive."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.hands import IMAGE_SIZE, LIKE
from tests.server import Server, serve

BODY = json.dumps({"landmarks": LIKE, "image_size": IMAGE_SIZE}).encode()
PLAIN = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
# As Java's HttpClient sends it
UPGRADING = PLAIN.replace(
    b"\r\nHost: a",
    b"\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\nUpgrade: h2c",
)


def connect(server: Server) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((str(address.hostname), address.port), timeout=30)


def read_answer(connection: socket.socket) -> bytes:
    answer = b""
    while b"}" not in answer:
        chunk = connection.recv(65_536)
        assert chunk, answer
        answer += chunk
    return answer


@pytest.mark.parametrize("cut", [0, 20, len(UPGRADING) - 2, len(UPGRADING), len(UPGRADING) + 100])
def test_http2_that_is_offered_is_declined(server: Server, cut: int) -> None:
    with connect(server) as connection:
        request = UPGRADING + BODY
        for part in (request[:cut], request[cut:]):
            connection.sendall(part)
            time.sleep(0.05)  # a separate packet
        assert b'"gesture":"like"' in read_answer(connection)
        connection.sendall(PLAIN + BODY)  # the connection continues
        assert b'"gesture":"like"' in read_answer(connection)


def test_http2_may_be_offered_in_pipelined_requests(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall((PLAIN + BODY + UPGRADING + BODY) * 3)
        answers = b""
        while answers.count(b'"gesture":"like"') < 6:
            answers += read_answer(connection)


def test_http2_may_be_offered_hundreds_of_times_at_once(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall((UPGRADING + BODY) * 700)
        answers = 0
        while answers < 700:
            answers += read_answer(connection).count(b"HTTP/1.1 200 ")


def test_websocket_behind_an_unanswered_request_is_not_opened(server: Server) -> None:
    """Its handshake would overtake the response."""
    handshake = (
        b"GET /stream HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    unusual = PLAIN.replace(b"\r\nHost: a", b"\r\nHost: a\r\nExpect: nothing")  # through ASGI
    for requests in (PLAIN + BODY, (PLAIN + BODY) * 3, unusual + BODY):
        with connect(server) as connection:
            connection.sendall(requests + handshake + b"\x81\x82\x00\x00\x00\x00{}")
            answers = b""
            while chunk := connection.recv(65_536):
                answers += chunk
        assert answers.count(b"HTTP/1.1 200 OK") == answers.count(b"HTTP/1.1 ") == requests.count(b"POST")
        assert answers.count(b"connection: close") == 1
        assert answers.endswith(b"}")


def test_data_after_the_last_request_of_a_connection_is_ignored(server: Server) -> None:
    last = PLAIN.replace(b"\r\nHost: a", b"\r\nHost: a\r\nConnection: close")
    chunked = last.replace(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked")
    for first in (last + BODY, last + b"x" * len(BODY), chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)):
        for behind in (PLAIN + BODY, UPGRADING + BODY, b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN):
            for reads in (True, False):
                with connect(server) as connection:
                    connection.sendall(first + behind * 20)
                    if reads:
                        assert connection.recv(65_536).startswith(b"HTTP/1.1 ")
    with connect(server) as connection:
        connection.sendall(PLAIN + BODY)
        read_answer(connection)
    assert '"level": "error"' not in server.log.read_text()


def test_upgrade_with_a_chunked_body_is_declined(server: Server) -> None:
    head = UPGRADING.replace(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked")
    with connect(server) as connection:
        connection.sendall(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
        assert b'"gesture":"like"' in read_answer(connection)


@pytest.mark.parametrize("target", [b"other:443", b"http://other/"])
@pytest.mark.parametrize("upgrade", [b"", b"Connection: upgrade\r\nUpgrade: h2c\r\n"], ids=["plain", "upgrade"])
def test_connect_is_rejected(server: Server, target: bytes, upgrade: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(b"CONNECT %b HTTP/1.1\r\nHost: other\r\n%b\r\n" % (target, upgrade))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 4")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_with_http2_upgrade(server: Server, tmp_path: Path) -> None:
    (tmp_path / "hand.json").write_bytes(BODY)
    command = ["curl", "--silent", "--http2", f"{server.url}/predict", "-H", "content-type: application/json"]
    answer = subprocess.run([*command, "-d", f"@{tmp_path}/hand.json"], capture_output=True, check=True)
    assert json.loads(answer.stdout)["gesture"] == "like"


@pytest.fixture(scope="module")
def short_limits(home: Path) -> Iterator[Server]:
    with serve(home, KEEP_ALIVE_SECONDS=1) as running:
        yield running


def test_keep_alive_timeout_is_configurable(server: Server, short_limits: Server) -> None:
    with connect(server) as kept, connect(short_limits) as closed:
        for connection in (kept, closed):
            connection.sendall(PLAIN + BODY)
            read_answer(connection)
        assert closed.recv(1) == b""
        time.sleep(6)  # uvicorn's own limit is 5 seconds
        kept.sendall(PLAIN + BODY)
        assert b'"gesture":"like"' in read_answer(kept)
