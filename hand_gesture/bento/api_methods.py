"""Finds the service's API methods, so that the gateway can call them without BentoML's HTTP layer.

BentoML's HTTP layer (routing, context, media types, serialization, headers) takes half of a request's time, and the
gateway does the same work; it still serves all other routes. tests/unit/bento/test_api_methods.py fails if a new
BentoML changes the attributes used here.
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
    """The batch limits of ``@bentoml.api(batchable=True, ...)``."""

    max_size: int
    max_wait_seconds: float


@dataclass(frozen=True, slots=True)
class ApiMethod:
    """An ``@bentoml.api`` method: a coroutine function that takes hands, shape (n, 63)."""

    call: Callable[[NDArray[np.float64]], Awaitable[Any]]
    batches: BatchLimits | None  # None: not batchable


def find_api_methods(app: Starlette) -> dict[str, ApiMethod]:
    """Find the API methods in the application that BentoML built, by route."""
    methods: dict[str, ApiMethod] = {}
    for route in app.routes:
        if isinstance(route, Route) and isinstance(route.endpoint, functools.partial):
            factory: Any = getattr(route.endpoint.func, "__self__")  # noqa: B009 (mypy takes it for a function)
            api = factory.service.apis[route.name]
            limits = BatchLimits(api.max_batch_size, api.max_latency_ms / 1000) if api.batchable else None
            methods[route.path] = ApiMethod(getattr(factory._service_instance, route.name).local, limits)
    return methods
