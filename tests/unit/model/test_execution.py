"""Inline and offloaded model calls."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info

from hand_gesture.model.classifier import Prediction
from hand_gesture.model.execution import CALLS_IN_A_THREAD, SLOW_SECONDS, Execution, use_one_thread

HAND = np.zeros((1, 63))


class Model:
    """A model that records the thread of each call, and takes a given time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.threads: list[threading.Thread] = []

    def __call__(self, hands: NDArray[np.float64]) -> list[Prediction]:
        self.threads.append(threading.current_thread())
        time.sleep(self.seconds)
        return [Prediction("like", 1.0, None)] * len(hands)

    def inline(self) -> list[bool]:
        """Whether each call ran inline, without the first one, which measured the model."""
        return [thread is threading.current_thread() for thread in self.threads[1:]]


async def call(execution: Execution, times: int) -> None:
    for _ in range(times):
        assert [prediction.gesture for prediction in (await execution.call(HAND)).predictions] == ["like"]


def test_a_fast_model_runs_on_the_loop() -> None:
    model = Model(0)
    asyncio.run(call(Execution(model, HAND), 5))
    assert model.inline() == [True] * 5


def test_a_slow_model_never_runs_on_the_loop() -> None:
    model = Model(SLOW_SECONDS)
    asyncio.run(call(Execution(model, HAND), 5))
    assert model.inline() == [False] * 5


def test_a_model_that_becomes_fast_returns_to_the_loop() -> None:
    model = Model(SLOW_SECONDS)
    execution = Execution(model, HAND)
    model.seconds = 0
    asyncio.run(call(execution, CALLS_IN_A_THREAD + 3))
    assert model.inline() == [False] * CALLS_IN_A_THREAD + [True] * 3


def test_a_slow_call_moves_the_next_into_a_thread() -> None:
    model = Model(0)
    execution = Execution(model, HAND)
    model.seconds = SLOW_SECONDS
    asyncio.run(call(execution, 2))
    assert model.inline() == [True, False]


def test_inline_calls_do_not_affect_where_later_calls_run() -> None:
    model = Model(0)
    execution = Execution(model, HAND)
    model.seconds = SLOW_SECONDS
    assert execution.call_inline(HAND).is_slow
    model.seconds = 0
    asyncio.run(call(execution, 1))
    assert model.inline()[-1]


@pytest.mark.parametrize("wrap", [lambda forest: forest, lambda forest: make_pipeline(StandardScaler(), forest)])
def test_a_forest_starts_no_threads(wrap: object) -> None:
    forest = RandomForestClassifier(2, n_jobs=-1)
    use_one_thread(wrap(forest))  # type: ignore[operator]
    assert forest.n_jobs == 1
    assert {library["num_threads"] for library in threadpool_info()} == {1}
