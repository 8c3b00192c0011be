"""Runs a model on the event loop while it is fast, and in a thread while it is slow.

A network of the bundled size answers before a thread would have started. A forest takes ten times as long as all else
that a request needs, and on the loop it would hold up other requests, streams and health checks.
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
SLOW_SECONDS: Final = 0.05  # for a model that waits for something; a shorter delay may be a pause of the machine
CALLS_IN_A_THREAD: Final = 32  # after a slow one

Predict = Callable[[NDArray[np.float64]], list[Prediction]]


class Call(NamedTuple):
    """A call of the model: its answers, in order, the seconds that it took, and whether it belongs in a thread."""

    predictions: list[Prediction]
    seconds: float
    is_slow: bool


class Execution:
    """Calls a model; from the time that its calls take it decides where the next ones run."""

    def __init__(self, predict: Predict, sample: NDArray[np.float64]) -> None:
        """Time the model once.

        Args:
            predict: the model.
            sample: hands to time it with, shape (n, 63).
        """
        self._predict = predict
        self._calls_in_a_thread = CALLS_IN_A_THREAD if self.call_inline(sample).is_slow else 0

    async def call(self, hands: NDArray[np.float64]) -> Call:
        """Have the model answer hands, shape (n, 63)."""
        if not self._calls_in_a_thread:
            call = self.call_inline(hands)
        else:
            self._calls_in_a_thread -= 1
            call = await asyncio.to_thread(self.call_inline, hands)
        if call.is_slow:
            self._calls_in_a_thread = CALLS_IN_A_THREAD
        return call

    def call_inline(self, hands: NDArray[np.float64]) -> Call:
        """The same in the caller's thread, without a say in where the next calls run."""
        started, cpu_started = perf_counter(), thread_time()
        predictions = self._predict(hands)
        # CPU, because a call in a thread also waits for the interpreter, and would seem slow for good
        seconds, cpu_seconds = perf_counter() - started, thread_time() - cpu_started
        return Call(predictions, seconds, cpu_seconds >= SLOW_CPU_SECONDS or seconds >= SLOW_SECONDS)


def use_one_thread(model: Any) -> None:
    """Keep a model from starting threads: with so few hands they cost more than they save.

    A forest with ``n_jobs=-1`` takes 70 ms where it takes 28 with one thread, and other workers need the cores.
    """
    threadpool_limits(limits=1)
    if hasattr(model, "get_params"):
        names = [name for name in model.get_params() if name.rpartition("__")[2] == "n_jobs"]
        model.set_params(**dict.fromkeys(names, 1))
