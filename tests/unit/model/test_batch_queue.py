import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hand_gesture.model.batch_queue import BatchQueue, WaitedTooLongError

HAND = np.zeros((1, 63))


class Method:
    """Answers a hand with its first coordinate, when its gate is open."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, hands: NDArray[np.float64]) -> list[float]:
        self.batches.append(hands[:, 0].tolist())
        await self.gate.wait()
        if (hands[:, 0] < 0).any():
            raise ValueError("no such hand")
        return [float(hand[0]) for hand in hands]


def run(scenario: Callable[[BatchQueue, Method], Awaitable[Any]], max_wait_seconds: float = 60) -> Any:
    async def main() -> Any:
        method = Method()
        return await scenario(BatchQueue(method, max_batch_size=4, max_wait_seconds=max_wait_seconds), method)

    return asyncio.run(main())


async def turns_of_the_loop() -> None:
    """Let everything happen that needs no time."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_hands_that_come_together_share_runs_and_get_their_own_answers() -> None:
    async def nine(queue: BatchQueue, method: Method) -> None:
        assert await asyncio.gather(*(queue(HAND + number) for number in range(9))) == [0, 1, 2, 3, 4, 5, 6, 7, 8]
        assert method.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]

    run(nine)


def test_hands_that_come_while_the_method_works_share_the_next_run() -> None:
    async def one_and_three(queue: BatchQueue, method: Method) -> None:
        method.gate.clear()
        first = queue(HAND)
        await turns_of_the_loop()
        others = [queue(HAND + number) for number in (1, 2, 3)]
        await turns_of_the_loop()
        assert method.batches == [[0]]  # one run at a time
        method.gate.set()
        assert await asyncio.gather(first, *others) == [0, 1, 2, 3]
        assert method.batches == [[0], [1, 2, 3]]

    run(one_and_three)


def test_a_lone_hand_waits_for_nobody_whatever_was_before() -> None:
    async def crowd_then_one(queue: BatchQueue, method: Method) -> None:
        await asyncio.gather(*(queue(HAND + number) for number in range(64)))
        lone = queue(HAND)
        await turns_of_the_loop()
        assert lone.done()
        assert method.batches[-1] == [0]

    run(crowd_then_one)


def test_only_after_a_crowd_is_the_loop_looked_through_once_more_for_others() -> None:
    async def turns_to_the_run(queue: BatchQueue, method: Method) -> int:
        before, turns = len(method.batches), 0
        answer = queue(HAND)
        while len(method.batches) == before:
            await asyncio.sleep(0)
            turns += 1
        await answer
        return turns

    async def crowd_between(queue: BatchQueue, method: Method) -> list[int]:
        first = await turns_to_the_run(queue, method)
        await asyncio.gather(queue(HAND), queue(HAND))
        return [first, await turns_to_the_run(queue, method), await turns_to_the_run(queue, method)]

    assert run(crowd_between) == [1, 2, 1]


def test_what_the_method_raises_reaches_its_callers_and_not_the_next() -> None:
    async def fail_then_call(queue: BatchQueue, _: Method) -> None:
        given = await asyncio.gather(queue(HAND - 1), queue(HAND), return_exceptions=True)
        assert [str(error) for error in given] == ["no such hand"] * 2
        assert await queue(HAND + 3) == 3

    run(fail_then_call)


def test_too_few_answers_are_an_error_for_all_and_not_the_wrong_ones() -> None:
    async def call() -> None:
        async def forgetful(hands: NDArray[np.float64]) -> list[float]:
            return [float(hand[0]) for hand in hands[1:]]

        queue = BatchQueue(forgetful, max_batch_size=4, max_wait_seconds=60)
        for error in await asyncio.gather(*(queue(HAND + number) for number in range(3)), return_exceptions=True):
            assert isinstance(error, ValueError)

    asyncio.run(call())


def test_who_has_gone_is_not_classified() -> None:
    async def go_and_stay(queue: BatchQueue, method: Method) -> None:
        gone, stays = queue(HAND + 1), queue(HAND + 2)
        gone.cancel()
        assert await stays == 2
        lone = queue(HAND + 3)
        lone.cancel()
        await turns_of_the_loop()
        assert method.batches == [[2]]
        assert await queue(HAND + 4) == 4

    run(go_and_stay)


def test_who_goes_while_the_method_works_takes_no_answer_from_the_others() -> None:
    async def go_and_stay(queue: BatchQueue, method: Method) -> None:
        method.gate.clear()
        gone, stays = queue(HAND + 1), queue(HAND + 2)
        await turns_of_the_loop()
        gone.cancel()
        method.gate.set()
        assert await stays == 2
        assert method.batches == [[1, 2]]

    run(go_and_stay)


def test_hands_are_refused_when_they_have_waited_too_long_and_the_method_goes_on() -> None:
    async def wait_in_vain(queue: BatchQueue, method: Method) -> None:
        method.gate.clear()
        first = queue(HAND)
        await turns_of_the_loop()
        late = [queue(HAND + number) for number in (1, 2)]
        for refused in late:
            with pytest.raises(WaitedTooLongError):
                await refused
        for number in (3, 4):  # one after the other, each with a time of its own
            with pytest.raises(WaitedTooLongError):
                await queue(HAND + number)
        sooner = queue(HAND + 5)
        await asyncio.sleep(0.02)
        later = queue(HAND + 6)
        for refused in (sooner, later):
            with pytest.raises(WaitedTooLongError):
                await refused
        assert not first.done()
        method.gate.set()
        assert await first == 0
        assert method.batches == [[0]]

    run(wait_in_vain, max_wait_seconds=0.05)


def test_a_hand_that_waited_too_long_before_its_run_is_refused() -> None:
    async def never_in_time(queue: BatchQueue, method: Method) -> None:
        with pytest.raises(WaitedTooLongError):
            await queue(HAND)
        assert not method.batches

    run(never_in_time, max_wait_seconds=0)
