"""Calls the model for the API methods and records each call in the metrics."""

from __future__ import annotations

import asyncio
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hand_gesture.model.classifier import Prediction
from hand_gesture.model.execution import Call, Execution
from hand_gesture.telemetry.metrics import Metrics

# asyncio has at least five threads, and a slow model's small batches need the others
BATCHES_IN_THREADS: Final = 2


class MeasuredModel:
    """A model with metrics. Takes hands, shape (n, 63), and returns their predictions in order."""

    def __init__(self, execution: Execution, metrics: Metrics) -> None:
        self._execution = execution
        self._metrics = metrics
        self._threads = asyncio.Semaphore(BATCHES_IN_THREADS)

    async def predict(self, hands: NDArray[np.float64], route: str) -> list[Prediction]:
        """Classify a batch of hands from a route: on the event loop, or in a thread if the model is slow."""
        call = await self._execution.call(hands)
        return self._count(route, call)

    async def predict_in_thread(self, hands: NDArray[np.float64], route: str) -> list[Prediction]:
        """Classify many hands, always in a thread.

        A caller that is cancelled while it waits for a thread leaves the queue; a call that has started is recorded in
        any case.
        """
        await self._threads.acquire()
        return await asyncio.shield(self._call_in_thread(hands, route))

    async def _call_in_thread(self, hands: NDArray[np.float64], route: str) -> list[Prediction]:
        try:
            return self._count(route, await asyncio.to_thread(self._execution.call_inline, hands))
        finally:
            self._threads.release()

    def _count(self, route: str, call: Call) -> list[Prediction]:
        self._metrics.count_model_call(route, call.predictions, call.seconds)
        return call.predictions
