"""Exempts POSTs from BentoML's request timeout; the gateway has its own deadline for each route.

BentoML starts a timer for each request and does not cancel it after the response: under full load, that takes 5 to 9 %
of the CPU and keeps more than ten thousand timers alive. tests/unit/bento/test_timeouts.py fails if a new BentoML
changes what is used here.
"""

from __future__ import annotations

from bentoml._internal.server.http import traffic
from starlette.types import Receive, Scope, Send


class _TimeoutExceptPosts(traffic.TimeoutMiddleware):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") == "POST":
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def exempt_posts() -> None:
    """Replace BentoML's middleware; must be called before the service starts."""
    traffic.TimeoutMiddleware = _TimeoutExceptPosts  # type: ignore[misc]
