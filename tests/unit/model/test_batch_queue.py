import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hand_gesture.model.batch_queue import BatchQueue, QueueTimeoutError, Refine, Ticket
from hand_gesture.model.classifier import Predictions
from tests.hands import CLASSIFIER, REFERENCE

HAND = np.zeros((1, 63))


class Method:
    """A method that returns the first coordinate of each hand, once its gate is open."""

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


def ask(queue: BatchQueue, hand: NDArray[np.float64]) -> asyncio.Future[Any]:
    """Awaitable result of a hand."""
    answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(answers: Any, error: Exception | None) -> None:
        answered.set_result(answers[0]) if error is None else answered.set_exception(error)

    queue.submit(hand, settle)
    return answered


def ask_cancelled(queue: BatchQueue, hand: NDArray[np.float64]) -> Ticket:
    """Submit a hand whose callback must not be called."""
    return queue.submit(hand, lambda _, __: pytest.fail("the callback of cancelled hands was called"))


async def event_loop_iterations() -> None:
    """Run the event loop until it is idle."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_concurrent_hands_share_batches_and_get_their_own_results() -> None:
    async def nine(queue: BatchQueue, method: Method) -> None:
        assert await asyncio.gather(*(ask(queue, HAND + number) for number in range(9))) == [0, 1, 2, 3, 4, 5, 6, 7, 8]
        assert method.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]

    run(nine)


def test_hands_that_arrive_during_a_batch_share_the_next() -> None:
    async def one_and_three(queue: BatchQueue, method: Method) -> None:
        method.gate.clear()
        first = ask(queue, HAND)
        await event_loop_iterations()
        others = [ask(queue, HAND + number) for number in (1, 2, 3)]
        await event_loop_iterations()
        assert method.batches == [[0]]  # one batch at a time
        method.gate.set()
        assert await asyncio.gather(first, *others) == [0, 1, 2, 3]
        assert method.batches == [[0], [1, 2, 3]]

    run(one_and_three)


def test_a_single_hand_after_a_burst_is_not_delayed() -> None:
    async def burst_then_one(queue: BatchQueue, method: Method) -> None:
        await asyncio.gather(*(ask(queue, HAND + number) for number in range(64)))
        single = ask(queue, HAND)
        await event_loop_iterations()
        assert single.done()
        assert method.batches[-1] == [0]

    run(burst_then_one)


def test_under_load_a_batch_starts_one_iteration_later() -> None:
    async def iterations_to_the_run(queue: BatchQueue, method: Method) -> int:
        before, iterations = len(method.batches), 0
        answer = ask(queue, HAND)
        while len(method.batches) == before:
            await asyncio.sleep(0)
            iterations += 1
        await answer
        return iterations

    async def burst_between(queue: BatchQueue, method: Method) -> list[int]:
        first = await iterations_to_the_run(queue, method)
        await asyncio.gather(ask(queue, HAND), ask(queue, HAND))
        return [first, await iterations_to_the_run(queue, method), await iterations_to_the_run(queue, method)]

    assert run(burst_between) == [1, 2, 1]


def test_an_exception_of_the_method_affects_only_its_batch() -> None:
    async def fail_then_call(queue: BatchQueue, _: Method) -> None:
        given = await asyncio.gather(ask(queue, HAND - 1), ask(queue, HAND), return_exceptions=True)
        assert [str(error) for error in given] == ["no such hand"] * 2
        assert await ask(queue, HAND + 3) == 3

    run(fail_then_call)


def test_a_wrong_number_of_results_is_an_error() -> None:
    async def call() -> None:
        async def forgetful(hands: NDArray[np.float64]) -> list[float]:
            return [float(hand[0]) for hand in hands[1:]]

        queue = BatchQueue(forgetful, max_batch_size=4, max_wait_seconds=60)
        for error in await asyncio.gather(*(ask(queue, HAND + number) for number in range(3)), return_exceptions=True):
            assert isinstance(error, ValueError)
            assert str(error) == "the model returned 2 results for 3 hands"

    asyncio.run(call())


def test_frames_of_several_hands_are_not_split_between_batches() -> None:
    async def submit(queue: BatchQueue, method: Method) -> None:
        method.gate.clear()
        waiting = [ask(queue, HAND)]
        await event_loop_iterations()
        waiting += [ask(queue, np.concatenate([HAND + number] * size)) for number, size in ((1, 2), (2, 1), (3, 2))]
        method.gate.set()
        assert await asyncio.gather(*waiting) == [0, 1, 2, 3]
        assert method.batches == [[0], [1, 1, 2], [3, 3]]

    run(submit)


def test_hands_that_follow_an_answer_wait_for_the_batch_that_is_about_to_start() -> None:
    async def main() -> int:
        running, most = 0, 0

        async def method(hands: NDArray[np.float64]) -> list[float]:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await event_loop_iterations()
            running -= 1
            return [float(hand[0]) for hand in hands]

        queue = BatchQueue(method, max_batch_size=1, max_wait_seconds=60)
        first, second = ask(queue, HAND + 1), ask(queue, HAND + 2)
        later: list[asyncio.Future[Any]] = []
        first.add_done_callback(lambda _: later.append(ask(queue, HAND + 3)))
        assert [*await asyncio.gather(first, second)] == [1, 2]
        assert await later[0] == 3
        return most

    assert asyncio.run(main()) == 1


def test_cancelled_hands_are_not_classified() -> None:
    async def go_and_stay(queue: BatchQueue, method: Method) -> None:
        gone, stays = ask_cancelled(queue, HAND + 1), ask(queue, HAND + 2)
        gone.cancel()
        assert await stays == 2
        lone = ask_cancelled(queue, HAND + 3)
        lone.cancel()
        await event_loop_iterations()
        assert method.batches == [[2]]
        assert await ask(queue, HAND + 4) == 4

    run(go_and_stay)


def test_cancelling_during_a_batch_does_not_affect_others() -> None:
    async def go_and_stay(queue: BatchQueue, method: Method) -> None:
        method.gate.clear()
        gone, stays = ask_cancelled(queue, HAND + 1), ask(queue, HAND + 2)
        await event_loop_iterations()
        gone.cancel()
        method.gate.set()
        assert await stays == 2
        assert method.batches == [[1, 2]]

    run(go_and_stay)


def test_queue_timeout_during_a_slow_batch() -> None:
    async def wait_too_long(queue: BatchQueue, method: Method) -> None:
        method.gate.clear()
        first = ask(queue, HAND)
        await event_loop_iterations()
        late = [ask(queue, HAND + number) for number in (1, 2)]
        for refused in late:
            with pytest.raises(QueueTimeoutError):
                await refused
        for number in (3, 4):  # at different times
            with pytest.raises(QueueTimeoutError):
                await ask(queue, HAND + number)
        sooner = ask(queue, HAND + 5)
        await asyncio.sleep(0.02)
        later = ask(queue, HAND + 6)
        for refused in (sooner, later):
            with pytest.raises(QueueTimeoutError):
                await refused
        assert not first.done()
        method.gate.set()
        assert await first == 0
        assert method.batches == [[0]]

    run(wait_too_long, max_wait_seconds=0.05)


def test_queue_timeout_before_a_batch_starts() -> None:
    async def never_in_time(queue: BatchQueue, method: Method) -> None:
        with pytest.raises(QueueTimeoutError):
            await ask(queue, HAND)
        assert not method.batches

    run(never_in_time, max_wait_seconds=0)


def test_a_cancelled_method_call_is_an_error_and_the_next_batch_runs() -> None:
    async def cancel_then_call() -> None:
        calls = 0

        async def cancelled_once(hands: NDArray[np.float64]) -> list[float]:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise asyncio.CancelledError
            return [float(hand[0]) for hand in hands]

        queue = BatchQueue(cancelled_once, max_batch_size=4, max_wait_seconds=60)
        first = [ask(queue, HAND) for _ in range(2)]
        await event_loop_iterations()
        for answered in first:
            assert isinstance(answered.exception(), RuntimeError)
            assert str(answered.exception()) == "the model call was interrupted by CancelledError"
        assert await ask(queue, HAND + 3) == 3

    asyncio.run(cancel_then_call())


def test_a_failing_callback_does_not_affect_others() -> None:
    async def fail_and_take(queue: BatchQueue, _: Method) -> None:
        reported: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

        def fail(_: Any, __: Exception | None) -> None:
            raise KeyError("here")

        queue.submit(HAND, fail)
        assert await ask(queue, HAND + 2) == 2
        (context,) = reported
        assert context["message"] == "the callback of a batch failed"
        assert type(context["exception"]) is KeyError

    run(fail_and_take)


def test_pending_hands_are_counted() -> None:
    async def count(queue: BatchQueue, _: Method) -> None:
        answered, *gone = ask(queue, HAND), *(ask_cancelled(queue, HAND) for _ in range(3))
        assert queue.pending == 4
        for left, ticket in zip((3, 2, 1), gone, strict=True):
            ticket.cancel()
            assert queue.pending == left
        await answered
        await event_loop_iterations()
        assert queue.pending == 0

    run(count)


def test_hands_of_a_frame_are_in_one_batch() -> None:
    async def frames(queue: BatchQueue, method: Method) -> None:
        given: list[Any] = []
        for first, count in ((0, 3), (10, 1), (20, 2), (30, 9)):
            hands = np.repeat(HAND, count, axis=0)
            hands[:, 0] = range(first, first + count)
            queue.submit(hands, lambda answers, _: given.append(answers))
        await event_loop_iterations()
        assert given == [[0, 1, 2], [10], [20, 21], [30, 31, 32, 33, 34, 35, 36, 37, 38]]
        assert method.batches == [[0, 1, 2, 10], [20, 21], [30, 31, 32, 33], [34, 35, 36, 37], [38]]

    run(frames)


def refined(queue: BatchQueue, hands: NDArray[np.float64], refine: Refine) -> asyncio.Future[Any]:
    """Awaitable results of hands."""
    answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(answers: Any, error: Exception | None) -> None:
        answered.set_result(answers) if error is None else answered.set_exception(error)

    queue.submit(hands, settle, refine)
    return answered


def test_results_can_be_refined_from_the_whole_batch() -> None:
    async def scenario(queue: BatchQueue, method: Method) -> Any:
        first = ask(queue, HAND + 1)
        second = refined(queue, np.concatenate([HAND + 2, HAND + 3]), lambda answers, place: (answers, place))
        third = refined(queue, HAND + 4, lambda _answers, _place: 1 / 0)
        answers = await asyncio.gather(first, second, third, return_exceptions=True)
        assert method.batches == [[1, 2, 3, 4]]
        assert queue.pending == 0
        return answers

    first, second, third = run(scenario)
    assert first == 1
    assert second == [([1, 2, 3, 4], 1), ([1, 2, 3, 4], 2)]
    assert isinstance(third, ZeroDivisionError)


def test_a_batch_in_several_calls_keeps_the_hidden_layer_of_all() -> None:
    """A frame of eight hands with a smaller MAX_BATCH_SIZE."""
    hands = np.array([np.ravel(hand) for hand in REFERENCE.hands.values()][:7])

    async def main() -> Any:
        async def predict(some: NDArray[np.float64]) -> Predictions:
            return CLASSIFIER.predict(some)

        queue = BatchQueue(predict, max_batch_size=3, max_wait_seconds=60)
        return await refined(queue, hands, lambda answers, place: (answers[place], answers.hidden[place]))

    for (prediction, hidden), hand in zip(asyncio.run(main()), hands, strict=True):
        expected = CLASSIFIER.predict(hand[np.newaxis])
        assert prediction.gesture == expected[0].gesture
        assert expected.hidden is not None
        np.testing.assert_allclose(hidden, expected.hidden[0], atol=1e-4)
