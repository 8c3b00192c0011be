"""Keeps BentoML's time limit away from predictions, which the gateway holds to deadlines of their own.

BentoML starts a task and a timer for each request, and the timer outlives the answer by the whole limit: under full
load that takes 5 to 9 % of the CPU, and more than ten thousand timers are alive. BentoML has no setting for it, so this
reaches into it; tests/unit/bento/test_timeouts.py fails where a new BentoML changes what is used here.
"""

from __future__ import annotations

from bentoml._internal.server.http import traffic
from starlette.types import Receive, Scope, Send


class _TimeoutForOthers(traffic.TimeoutMiddleware):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Whatever is posted is answered by the gateway
        if scope.get("method") == "POST":
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def exempt_posts() -> None:
    """Have the services that start after this limit the time of other requests only."""
    traffic.TimeoutMiddleware = _TimeoutForOthers  # type: ignore[misc]
