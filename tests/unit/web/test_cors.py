"""CORS headers (https://fetch.spec.whatwg.org/#http-cors-protocol), of responses through ASGI and of those past it."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from hand_gesture.web.cors import MAX_ORIGINS, Cors

GAME = "https://game.example"
OTHER = "https://other.example"
CORS_HEADERS = ("access-control-", "vary")


def plain(_: Request) -> PlainTextResponse:
    return PlainTextResponse("", headers={"Content-Language": "en"})


def with_own_header(_: Request) -> PlainTextResponse:
    return PlainTextResponse("", headers={"Access-Control-Allow-Origin": "*"})


APP = Starlette(routes=[Route("/", plain, methods=["GET", "POST"]), Route("/own", with_own_header)])


def ask(cors: Cors, origin: str | None, path: str = "/", method: str = "GET", **headers: str) -> httpx.Response:
    async def request() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(cors), base_url="http://service") as client:
            return await client.request(method, path, headers=headers | ({} if origin is None else {"Origin": origin}))

    return asyncio.run(request())


def cors_headers(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith(CORS_HEADERS)}


def parse(lines: bytes) -> dict[str, str]:
    assert not lines or lines.endswith(b"\r\n")
    return dict(line.split(": ", 1) for line in lines.decode().splitlines())


@pytest.mark.parametrize("allowed", [["*"], [GAME], [GAME, OTHER], []], ids=str)
@pytest.mark.parametrize("origin", [None, GAME, OTHER, "null"])
def test_responses_that_skip_asgi_have_the_same_headers(allowed: list[str], origin: str | None) -> None:
    cors = Cors(APP, allowed)
    lines = cors.headers_for(None if origin is None else origin.encode())
    assert parse(lines) == cors_headers(ask(cors, origin))
    assert cors.headers_for(None if origin is None else origin.encode()) == lines


@pytest.mark.parametrize(("origin", "readable_by"), [(GAME, GAME), (OTHER, None)])
def test_only_pages_of_allowed_origins_may_read_responses(origin: str, readable_by: str | None) -> None:
    response = ask(Cors(APP, [GAME]), origin)
    assert response.headers.get("access-control-allow-origin") == readable_by
    assert response.headers["content-language"] == "en"
    assert ask(Cors(APP, ["*"]), origin).headers["access-control-allow-origin"] == "*"


def test_pages_may_read_when_to_retry() -> None:
    assert parse(Cors(APP, ["*"]).headers_for(GAME.encode()))["access-control-expose-headers"] == "Retry-After"


def test_responses_with_their_own_header_keep_it() -> None:
    """Modules of the page are for every origin, whichever may send requests."""
    response = ask(Cors(APP, [GAME]), GAME, "/own")
    assert response.headers.get_list("access-control-allow-origin") == ["*"]
    assert "vary" not in response.headers


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 200), ("DELETE", 400), ("PUT", 400)])
def test_preflight(method: str, status: int) -> None:
    """Any header may be sent, and a public page may ask a private network; the answer is cached for a day."""
    asked = {
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "traceparent",
        "Access-Control-Request-Private-Network": "true",
    }
    response = ask(Cors(APP, [GAME]), GAME, method="OPTIONS", **asked)
    assert response.status_code == status
    assert response.headers["access-control-allow-methods"] == "GET, POST"
    assert response.headers["access-control-allow-headers"] == "traceparent"
    assert response.headers["access-control-allow-private-network"] == "true"
    assert response.headers["access-control-max-age"] == "86400"
    assert "access-control-allow-credentials" not in response.headers
    assert ask(Cors(APP, [GAME]), OTHER, method="OPTIONS", **asked).status_code == 400


def test_memory_for_headers_is_limited() -> None:
    """Clients choose the origin that they send."""
    cors = Cors(APP, ["*"])
    for number in range(MAX_ORIGINS + 10):
        cors.headers_for(b"https://%d.example" % number)
    assert cors.headers_for.cache_info().currsize == MAX_ORIGINS
