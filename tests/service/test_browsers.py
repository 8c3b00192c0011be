"""CORS: preflight requests and headers for browsers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.server import Server, serve

GAME = "https://game.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


@pytest.fixture(scope="module")
def restricted(home: Path) -> Iterator[Server]:
    with serve(home, ALLOWED_ORIGINS="HTTPS://Game.example/play/", MAX_IN_FLIGHT=1) as running:
        yield running


def preflight(server: Server, origin: str = GAME, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.client.options("/predict", headers={"Origin": origin} | PREFLIGHT | named)


def test_browser_may_call_and_read_errors(server: Server) -> None:
    answer = preflight(server)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    rejected = server.client.post("/predict", json={}, headers={"Origin": GAME})
    assert rejected.status_code == 400
    assert rejected.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "header", ["authorization", "traceparent", "sentry-trace, baggage", "x-requested-with", "content-type, tracestate"]
)
def test_any_header_may_be_sent(restricted: Server, header: str) -> None:
    answer = preflight(restricted, Access_Control_Request_Headers=header)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-headers"] == header


def test_a_public_page_may_call_a_private_network(restricted: Server) -> None:
    answer = preflight(restricted, Access_Control_Request_Private_Network="true")
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-private-network"] == "true"


def test_browsers_may_read_retry_after(restricted: Server) -> None:
    answer = restricted.client.post("/predict", json={}, headers={"Origin": GAME})
    assert answer.headers["access-control-expose-headers"] == "Retry-After"


def test_only_configured_origins_may_call(restricted: Server) -> None:
    for origin, allowed in ((GAME, GAME), ("https://other.example", None)):
        answer = restricted.client.get("/livez", headers={"Origin": origin})
        assert answer.headers.get("access-control-allow-origin") == allowed
    assert preflight(restricted, "https://other.example").status_code == 400


def test_modules_are_for_every_origin_but_streams_are_not(restricted: Server) -> None:
    other = {"Origin": "https://other.example"}
    assert restricted.client.get("/gestures.js", headers=other).headers["access-control-allow-origin"] == "*"
    refused = restricted.client.get("/stream", headers=other)
    assert refused.status_code == 403
    assert refused.headers["access-control-allow-origin"] == "*"
    assert refused.json()["reason"] == "forbidden_origin"
    assert restricted.client.get("/stream", headers={"Origin": GAME}).status_code == 426
