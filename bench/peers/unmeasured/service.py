"""This service without metrics and batching, to measure their cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hand_gesture.telemetry.metrics
import hand_gesture.web.admission
from hand_gesture.model.batch_queue import BatchQueue


class _NoMetrics:
    def __getattr__(self, name: str) -> _NoMetrics:
        return self

    def __call__(self, *args: object, **kwargs: object) -> _NoMetrics:
        return self


class _Unbatched(BatchQueue):
    def __init__(self, method: Callable[..., Any], *, max_batch_size: int, max_wait_seconds: float) -> None:
        del max_batch_size
        super().__init__(method, max_batch_size=1, max_wait_seconds=max_wait_seconds)


hand_gesture.telemetry.metrics.get_metrics = _NoMetrics  # type: ignore[assignment]
setattr(hand_gesture.web.admission, "BatchQueue", _Unbatched)  # noqa: B010 (mypy allows no assignment to a class)

from service import HandGesture  # noqa: E402 (what it imports is replaced above)

__all__ = ["HandGesture"]
