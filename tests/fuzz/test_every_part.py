"""Any content in any part of a request or stream causes no 5xx, no broken stream and no logged error."""

from __future__ import annotations

import http.client
import re
import socket
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from picows import WSCloseCode

from tests.fuzz.effort import effort
from tests.fuzz.messages import KEY, ORIGIN, PONG, Conversation, conversations, http_requests
from tests.fuzz.test_streams import RawStream
from tests.server import GENEROUS_LIMITS, Server, serve
from tests.stream_load import CLOSE, TEXT

REQUESTS = 3000
STREAMS = 1500
PATHS = [
    *("/", "/docs", "/docs.json", "/asyncapi.json", "/reference_hands.json", "/metrics", "/stream"),
    *("/predict", "/predict_batch", "/predict/command", "/livez", "/readyz", "/healthz", "/nothing"),
    *("/static_content/swagger-ui.css", "/static_content/", "/schema.json"),
]
# For protocol errors (RFC 6455, section 7.4.1); 1000 echoes the client's close
CLIENTS_FAULT = {1000, 1002, 1007, 1009}


@pytest.fixture(scope="module")
def guarded(home: Path) -> Iterator[Server]:
    """A service with all settings that make it parse more of a request."""
    with serve(home, API_KEY=KEY, ALLOWED_ORIGINS=ORIGIN, **GENEROUS_LIMITS) as running:
        yield running


def check_log(server: Server) -> None:
    log = server.log.read_text()
    assert '"level": "error"' not in log
    assert "Traceback" not in log
    assert server.process.poll() is None


def test_every_part_of_a_request(guarded: Server) -> None:
    address = urlsplit(guarded.url)
    page = guarded.client.get("/").text
    paths = [*PATHS, *(f"/{path}" for path in sorted(set(re.findall(r'"(page/[^"]+)"', page))))]
    statuses: Counter[int] = Counter()

    @effort(REQUESTS)
    @given(request=http_requests(paths))
    def check(request: bytes) -> None:
        with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
            connection.sendall(request)
            response = http.client.HTTPResponse(connection, method=request.split(b" ", 1)[0].decode())
            response.begin()
        statuses[response.status] += 1
        assert response.status < HTTPStatus.INTERNAL_SERVER_ERROR

    check()
    print(f"\n{sum(statuses.values())} requests: {dict(sorted(statuses.items()))}")
    assert statuses[200] > REQUESTS / 50
    assert statuses[400] > REQUESTS / 50
    check_log(guarded)


def test_every_part_of_a_stream(guarded: Server) -> None:
    ends: Counter[int] = Counter()

    @effort(STREAMS)
    @given(conversation=conversations())
    def check(conversation: Conversation) -> None:
        raw = RawStream(guarded, request=conversation.handshake, settings=conversation.settings)
        with raw.socket:
            if raw.status != HTTPStatus.SWITCHING_PROTOCOLS:
                assert raw.status < HTTPStatus.INTERNAL_SERVER_ERROR
                ends[raw.status] += 1
                return
            raw.socket.sendall(b"".join(conversation.frames))
            expected = sum(frame[0] & 0x0F not in (PONG, CLOSE) for frame in conversation.frames)
            for _ in range(expected):
                opcode, payload = raw.read()
                if opcode != CLOSE:
                    assert opcode in (TEXT, PONG)
                    continue
                code = int.from_bytes(payload[:2])
                assert code in {*(code.value for code in WSCloseCode), *CLIENTS_FAULT}
                ends[code] += 1
                return
            ends[0] += 1

    check()
    print(f"\n{sum(ends.values())} streams, by status or close code, 0: goes on: {dict(sorted(ends.items()))}")
    assert ends[0] > STREAMS / 10
    assert ends[WSCloseCode.POLICY_VIOLATION.value] > STREAMS / 50
    assert ends[HTTPStatus.FORBIDDEN] > STREAMS / 100
    check_log(guarded)
