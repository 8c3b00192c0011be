"""Runs fast models inline on the event loop, and offloads slow ones to a thread.

The bundled network takes less time than starting a thread. A forest takes ten times as long as the rest of a request,
and would block other requests, streams and health checks if it ran on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter, thread_time
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from hand_gesture.model.classifier import Prediction

SLOW_CPU_SECONDS: Final = 0.002
SLOW_SECONDS: Final = 0.05  # wall-clock time, for models that block; shorter delays may be scheduling pauses
CALLS_IN_A_THREAD: Final = 32  # after a slow one

Predict = Callable[[NDArray[np.float64]], list[Prediction]]


class Call(NamedTuple):
    """Result of a model call: predictions in order, wall-clock seconds, and whether the next calls need a thread."""

    predictions: list[Prediction]
    seconds: float
    is_slow: bool


class Execution:
    """Calls a model, and decides from the duration of its calls where the next ones run."""

    def __init__(self, predict: Predict, sample: NDArray[np.float64]) -> None:
        """Measure the model once.

        Args:
            predict: the model.
            sample: hands for the measurement, shape (n, 63).
        """
        self._predict = predict
        self._calls_in_a_thread = CALLS_IN_A_THREAD if self.call_inline(sample).is_slow else 0

    async def call(self, hands: NDArray[np.float64]) -> Call:
        """Classify hands, shape (n, 63), inline or in a thread."""
        if not self._calls_in_a_thread:
            call = self.call_inline(hands)
        else:
            self._calls_in_a_thread -= 1
            call = await asyncio.to_thread(self.call_inline, hands)
        if call.is_slow:
            self._calls_in_a_thread = CALLS_IN_A_THREAD
        return call

    def call_inline(self, hands: NDArray[np.float64]) -> Call:
        """Classify hands in the current thread; does not affect where the next calls run."""
        started, cpu_started = perf_counter(), thread_time()
        predictions = self._predict(hands)
        # CPU time: in a thread the wall-clock time includes waiting for the GIL, and the model would stay slow for ever
        seconds, cpu_seconds = perf_counter() - started, thread_time() - cpu_started
        return Call(predictions, seconds, cpu_seconds >= SLOW_CPU_SECONDS or seconds >= SLOW_SECONDS)


def use_one_thread(model: Any) -> None:
    """Limit a model to one thread, because threads cost more than they save on small batches.

    A forest takes 70 ms with ``n_jobs=-1`` and 28 ms with one thread, and other workers need the cores.
    """
    threadpool_limits(limits=1)
    if hasattr(model, "get_params"):
        names = [name for name in model.get_params() if name.rpartition("__")[2] == "n_jobs"]
        model.set_params(**dict.fromkeys(names, 1))
