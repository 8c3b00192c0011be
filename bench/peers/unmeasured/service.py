"""This service without metrics and without batches: what the two cost is the difference."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import bentoml

import hand_gesture.telemetry.metrics


class _NoMetrics:
    def __getattr__(self, name: str) -> _NoMetrics:
        return self

    def __call__(self, *args: object, **kwargs: object) -> _NoMetrics:
        return self


_api: Callable[..., Any] = bentoml.api


def _unbatched_api(**options: Any) -> Callable[..., Any]:
    batchable = options.pop("batchable", False)
    kept = {name: value for name, value in options.items() if name in ("route", "input_spec", "output_spec")}

    def decorate(method: Callable[..., Awaitable[Any]]) -> Any:
        @functools.wraps(method)
        async def answer_one(self: Any, hands: Any) -> Any:
            (answer,) = await method(self, hands)
            return answer

        return _api(**kept)(answer_one if batchable else method)

    return decorate


hand_gesture.telemetry.metrics.get_metrics = _NoMetrics  # type: ignore[assignment]
bentoml.api = _unbatched_api

from service import HandGesture  # noqa: E402 (what it imports is replaced above)

__all__ = ["HandGesture"]
