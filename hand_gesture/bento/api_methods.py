"""Finds the service's API methods, so that requests and frames can be given to them past BentoML's HTTP layer.

Between a service's middlewares and its API methods lies BentoML's HTTP layer (routing, context, media types,
serialisers, response headers), which takes half of a request's time to do again what the gateway has done; so the
gateway calls the methods itself, and BentoML's HTTP layer serves the other routes. BentoML says which methods there
are, at which routes, and how their batches are limited; tests/unit/bento/test_api_methods.py fails where a new one
changes what is used here.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.routing import Route


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What ``@bentoml.api(batchable=True, ...)`` says of batches."""

    max_size: int
    max_wait_seconds: float


@dataclass(frozen=True, slots=True)
class ApiMethod:
    """A coroutine that takes hands, shape (n, 63), and gives what its ``@bentoml.api`` method gives."""

    call: Callable[[NDArray[np.float64]], Awaitable[Any]]
    batches: BatchLimits | None  # of a batchable one


def find_api_methods(app: Starlette) -> dict[str, ApiMethod]:
    """The API methods of the service that BentoML made ``app`` of, by their routes."""
    methods: dict[str, ApiMethod] = {}
    for route in app.routes:
        if isinstance(route, Route) and isinstance(route.endpoint, functools.partial):
            factory: Any = getattr(route.endpoint.func, "__self__")  # noqa: B009 (mypy takes it for a function)
            api = factory.service.apis[route.name]
            limits = BatchLimits(api.max_batch_size, api.max_latency_ms / 1000) if api.batchable else None
            methods[route.path] = ApiMethod(getattr(factory._service_instance, route.name).local, limits)
    return methods
