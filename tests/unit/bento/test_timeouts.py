"""What hand_gesture/bento/timeouts.py relies on in BentoML: if this fails after an update, fix that module."""

import asyncio

import bentoml
import httpx
import pytest
from bentoml._internal.server.http import traffic
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from hand_gesture.bento.timeouts import exempt_posts

TIMEOUT = 0.05


async def too_slow(request: Request) -> PlainTextResponse:
    assert await request.body() == b"body"
    await asyncio.sleep(4 * TIMEOUT)
    return PlainTextResponse("done")


@bentoml.service(name="slow", metrics={"enabled": False}, traffic={"timeout": TIMEOUT})
@bentoml.asgi_app(Starlette(routes=[Route("/slow", too_slow, methods=["GET", "POST"])]), path="/")
class Service:
    """Takes longer than BentoML's timeout."""


async def statuses() -> dict[str, int]:
    app = Service.to_asgi(is_main=True)  # type: ignore[attr-defined]
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client,
    ):
        return {
            method: (await client.request(method, "/slow", content=b"body")).status_code for method in ("GET", "POST")
        }


def test_only_other_requests_than_post_have_bentomls_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncio.run(statuses()) == {"GET": 504, "POST": 504}, "BentoML limits the time of requests in another way"
    monkeypatch.setattr(traffic, "TimeoutMiddleware", traffic.TimeoutMiddleware)  # put back after the test
    exempt_posts()
    assert asyncio.run(statuses()) == {"GET": 504, "POST": 200}
