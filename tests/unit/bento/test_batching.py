"""What hand_gesture/bento/batching.py relies on in BentoML: when one of these fails after an update, start there."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import bentoml
import numpy as np
import pytest
from bentoml._internal.marshal.dispatcher import Optimizer
from numpy.typing import NDArray

from hand_gesture.bento.batching import ApiCall, PromptOptimizer, find_api_calls

HAND = np.zeros((1, 63))
SLOW = 1000  # a coordinate


@bentoml.service(name="two_methods", metrics={"enabled": False})
class Service:
    """Two methods as the service has them: one in batches, one without."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    @bentoml.api(route="/one", batchable=True, max_batch_size=4, max_latency_ms=1000)
    async def first_of_each(self, hands: NDArray[np.float64]) -> list[float]:
        self.batches.append(len(hands))
        await asyncio.sleep(0.5 if hands[0, 0] == SLOW else 0.01)
        if (hands[:, 0] < 0).any():
            raise ValueError("no such hand")
        return [float(hand[0]) for hand in hands]

    @bentoml.api(route="/many")
    async def count(self, hands: NDArray[np.float64]) -> int:
        return len(hands)


def run(scenario: Callable[[dict[str, ApiCall]], Awaitable[Any]]) -> tuple[Any, Any]:
    """Run a scenario while the service is up; its result, and the service's instance."""

    async def main() -> tuple[Any, Any]:
        app = Service.to_asgi(is_main=True)  # type: ignore[attr-defined]
        async with app.router.lifespan_context(app):
            return await scenario(find_api_calls(app)), bentoml.get_current_service()

    return asyncio.run(main())


def test_methods_are_found_by_their_routes() -> None:
    async def routes(calls: dict[str, ApiCall]) -> set[str]:
        return {*calls}

    assert run(routes)[0] == {"/one", "/many"}


def test_concurrent_calls_share_runs_of_the_method_and_get_their_own_answers() -> None:
    answers, service = run(lambda calls: asyncio.gather(*(calls["/one"](HAND + number) for number in range(9))))
    assert answers == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert sum(service.batches) == 9
    assert max(service.batches) == 4


def test_a_method_without_batches_gets_all_hands() -> None:
    assert run(lambda calls: calls["/many"](np.zeros((5, 63))))[0] == 5


def test_what_the_method_raises_reaches_its_callers_and_not_the_next() -> None:
    async def fail_then_call(calls: dict[str, ApiCall]) -> float:
        with pytest.raises(ValueError, match="no such hand"):
            await calls["/one"](HAND - 1)
        return float(await calls["/one"](HAND + 3))

    assert run(fail_then_call)[0] == 3


def test_a_deadline_ends_a_call_and_not_the_next() -> None:
    async def expire_then_call(calls: dict[str, ApiCall]) -> float:
        with pytest.raises((TimeoutError, bentoml.exceptions.ServiceUnavailable)):
            async with asyncio.timeout(0.001):
                await calls["/one"](HAND)
        return float(await calls["/one"](HAND + 3))

    assert run(expire_then_call)[0] == 3


def test_nothing_is_refused_after_slow_calls() -> None:
    async def slow_then_many(calls: dict[str, ApiCall]) -> list[float]:
        for number in (0, 1, 2, *[SLOW] * 6, 9, 10):  # by now BentoML has drawn its conclusions
            await calls["/one"](HAND + number)
        return await asyncio.gather(*(calls["/one"](HAND + number) for number in range(9)))

    assert run(slow_then_many)[0] == [0, 1, 2, 3, 4, 5, 6, 7, 8]


def test_the_optimizer_has_the_queue_wait_for_nothing_whatever_was_before() -> None:
    theirs, ours = Optimizer(1.0), PromptOptimizer()
    for optimizer in (theirs, ours):
        for n in range(20):
            optimizer.log_outbound(n=n, wait=0.5, duration=3)
        optimizer.trigger_refresh()  # type: ignore[no-untyped-call]
    reason = "BentoML's queue decides anew how long to wait and whom to refuse; see PromptOptimizer"
    assert theirs.wait == pytest.approx(0.5), reason
    assert theirs.o_b == pytest.approx(3), reason
    assert (ours.wait, ours.o_a, ours.o_b) == (0, 0, 0)
