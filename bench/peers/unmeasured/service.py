"""This service without metrics and without batches: what the two cost is the difference."""

from __future__ import annotations

from collections.abc import Callable
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
    return _api(**options | {"max_batch_size": 1} if options.get("batchable") else options)  # type: ignore[no-any-return]


hand_gesture.telemetry.metrics.get_metrics = _NoMetrics  # type: ignore[assignment]
bentoml.api = _unbatched_api

from service import HandGesture  # noqa: E402 (what it imports is replaced above)

__all__ = ["HandGesture"]
