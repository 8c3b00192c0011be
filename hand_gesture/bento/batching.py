"""The way from the gateway to BentoML's API methods and their adaptive batch queues.

The one place that relies on what BentoML keeps for itself. Between a service's middlewares and its API methods lies
BentoML's HTTP layer (routing, context, media types, serialisers, response headers), which takes half of a request's
time to do again what the gateway has done; so the gateway calls the methods through here, and BentoML's HTTP layer
serves the other routes. tests/unit/bento/test_batching.py fails where a new BentoML changes what is used here.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from bentoml._internal.marshal.dispatcher import CorkDispatcher, Optimizer
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.routing import Route

ApiCall = Callable[[NDArray[np.float64]], Awaitable[Any]]


def find_api_calls(app: Starlette) -> dict[str, ApiCall]:
    """The API methods of the service that BentoML made ``app`` of, by their routes.

    The methods are coroutines. A batchable one is called with one hand, shape (1, 63), and gives its answer; the
    hands of concurrent calls go through BentoML's batch queue into one run of the method. The others are called with
    hands, shape (n, 63), and give what the method gives.

    The calls raise what the method raises, and ``bentoml.exceptions.ServiceUnavailable`` where a hand would wait for
    its batch longer than the method allows, or the caller is cancelled.
    """
    calls: dict[str, ApiCall] = {}
    for route in app.routes:
        if isinstance(route, Route) and isinstance(route.endpoint, functools.partial):
            factory: Any = getattr(route.endpoint.func, "__self__")  # noqa: B009 (mypy takes it for a function)
            method = getattr(factory._service_instance, route.name).local
            queue = factory.dispatchers.get(route.name)
            calls[route.path] = _queued(queue, method) if queue else method
    return calls


def _queued(queue: CorkDispatcher[Any, Any], method: ApiCall) -> ApiCall:
    async def run(batch: Sequence[NDArray[np.float64]]) -> Sequence[Any]:
        answers: Sequence[Any] = await method(np.concatenate(batch))
        return answers

    queue.optimizer = PromptOptimizer()
    queue.get_batch_size = lambda _: 1  # each call is one hand; BentoML would look for the kind of data each time
    return queue(run)


class PromptOptimizer(Optimizer):
    """Sends a batch off as soon as the model is free, and expects nothing of the model.

    BentoML's own makes each batch wait about as long as those before it had waited, for more hands to come. So it goes
    on waiting when the load is over: a lone client after 256 has 19 ms to wait for company that never comes. And after
    a single slow call it takes the next for as slow, and has them refused for seconds. Under load, hands gather while
    the model works and other requests are read.
    """

    def __init__(self) -> None:
        super().__init__(max_latency=0)

    def log_outbound(self, n: int, wait: float, duration: float) -> None:
        """Learn nothing from a call of the model."""
