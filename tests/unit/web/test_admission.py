"""Admission control and error mapping, with BentoML's API methods."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import bentoml
import numpy as np
import pytest
from numpy.typing import NDArray

from hand_gesture.errors import FailedRequestError, Reason, RejectedRequestError, ServerReason
from hand_gesture.model.batch_queue import QueueTimeoutError
from hand_gesture.settings import Settings
from hand_gesture.web.admission import AdmissionControl, timeout_error

HAND = np.zeros((1, 63))


@bentoml.service(name="inference_under_test", metrics={"enabled": False})
class Service:
    """Returns the first coordinate of each hand; fails on negative ones."""

    @bentoml.api(route="/in_batches", batchable=True, max_batch_size=2, max_latency_ms=60_000)
    async def in_batches(self, hands: NDArray[np.float64]) -> list[Any]:
        return await self._first(hands)

    @bentoml.api(route="/hurried", batchable=True, max_batch_size=2, max_latency_ms=0.001)
    async def hurried(self, hands: NDArray[np.float64]) -> list[Any]:
        return await self._first(hands)

    @bentoml.api(route="/alone")
    async def alone(self, hands: NDArray[np.float64]) -> list[Any]:
        return await self._first(hands)

    async def _first(self, hands: NDArray[np.float64]) -> list[Any]:
        await asyncio.sleep(0.01)
        if (hands[:, 0] < 0).any():
            raise ValueError("no such hand")
        return [(float(hand[0]), len(hands)) for hand in hands]


def run(scenario: Callable[[AdmissionControl], Awaitable[None]], **limits: Any) -> None:
    async def main() -> None:
        app = Service.to_asgi(is_main=True)  # type: ignore[attr-defined]
        async with app.router.lifespan_context(app):
            admission = AdmissionControl(Settings(**limits))
            admission.connect(app)
            await scenario(admission)

    asyncio.run(main())


def ask(admission: AdmissionControl, route: str, *numbers: float, **options: Any) -> asyncio.Future[Any]:
    """Awaitable results of hands, with the size of their batch."""
    answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(answers: Any, error: Exception | None) -> None:
        answered.set_result(answers) if error is None else answered.set_exception(error)

    admission.submit(route, np.concatenate([HAND + number for number in numbers]), settle, **options)
    return answered


def test_callers_share_a_call_of_a_batchable_method() -> None:
    async def scenario(admission: AdmissionControl) -> None:
        answers = await asyncio.gather(*(ask(admission, "/in_batches", number) for number in (1, 2, 3)))
        assert answers == [[(1, 2)], [(2, 2)], [(3, 1)]]  # two in a run, as the method says
        apart = await asyncio.gather(ask(admission, "/alone", 1, 2, 3), ask(admission, "/alone", 4))
        assert [*apart] == [[(1, 3), (2, 3), (3, 3)], [(4, 1)]]

    run(scenario)


def test_answers_of_a_batch_may_be_refined() -> None:
    async def scenario(admission: AdmissionControl) -> None:
        refined = ask(admission, "/in_batches", 1, refine=lambda answers, place: (answers[place], "refined"))
        assert await refined == [((1, 1), "refined")]

    run(scenario)


def test_waiting_time_is_limited_by_the_method() -> None:
    async def scenario(admission: AdmissionControl) -> None:
        first = ask(admission, "/hurried", 1)
        with pytest.raises(QueueTimeoutError):
            await asyncio.gather(first, ask(admission, "/hurried", 2), ask(admission, "/hurried", 3))

    run(scenario)


@pytest.mark.parametrize("route", ["/in_batches", "/alone"])
def test_exceptions_of_the_method_reach_the_caller(route: str) -> None:
    async def scenario(admission: AdmissionControl) -> None:
        with pytest.raises(ValueError, match="no such hand"):
            await ask(admission, route, -1)
        ((number, _),) = await ask(admission, route, 1)
        assert number == 1

    run(scenario)


def test_a_cancelled_call_has_no_effect() -> None:
    async def scenario(admission: AdmissionControl) -> None:
        for route in ("/in_batches", "/alone"):
            admission.submit(route, HAND, lambda _, __: pytest.fail("nobody wants this answer")).cancel()
            await ask(admission, route, 1)

    run(scenario)


def test_calls_of_all_methods_count_towards_the_limit() -> None:
    async def scenario(admission: AdmissionControl) -> None:
        admission.check_capacity()
        waiting = [ask(admission, route, 1) for route in ("/alone", "/in_batches")]
        admission.check_capacity()
        waiting += [ask(admission, route, 2) for route in ("/alone", "/in_batches")]
        with pytest.raises(FailedRequestError) as refused:
            admission.check_capacity()
        assert (refused.value.status, refused.value.reason) == (503, ServerReason.OVERLOADED)
        await asyncio.gather(*waiting)
        await asyncio.sleep(0)
        for _ in range(3):
            admission.check_capacity()
            waiting.append(ask(admission, "/alone", 3))
        admission.check_capacity()
        await asyncio.gather(*waiting)

    run(scenario, max_in_flight=4)


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (QueueTimeoutError(), HTTPStatus.SERVICE_UNAVAILABLE, ServerReason.OVERLOADED),
        (RuntimeError("broken"), HTTPStatus.INTERNAL_SERVER_ERROR, ServerReason.MODEL_FAILED),
    ],
)
def test_errors_are_mapped_to_messages(error: Exception, status: int, reason: ServerReason) -> None:
    explained = AdmissionControl(Settings()).explain(error, "/predict")
    assert (explained.status, explained.reason) == (status, reason)
    assert_is_sentence(explained)


def test_clients_may_try_again_a_second_after_an_overload() -> None:
    error = AdmissionControl(Settings()).explain(QueueTimeoutError(), "/predict")
    assert error.headers == [(b"retry-after", b"1")]


def test_errors_with_a_message_are_unchanged(caplog: pytest.LogCaptureFixture) -> None:
    error = RejectedRequestError(400, Reason.INVALID_JSON, "The body is not valid JSON.")
    assert AdmissionControl(Settings()).explain(error, "/predict") is error
    assert caplog.records == []


def test_the_log_names_the_route_that_failed_and_has_the_stack_trace(caplog: pytest.LogCaptureFixture) -> None:
    error = RuntimeError("broken")
    AdmissionControl(Settings()).explain(error, "/a_route")
    (record,) = caplog.records
    assert record.getMessage() == "a request to /a_route failed"
    assert record.exc_info == (RuntimeError, error, error.__traceback__)


def test_a_timeout_says_how_long_it_was() -> None:
    error = timeout_error(2.5)
    assert (error.status, error.reason) == (504, ServerReason.TIMEOUT)
    assert "2.5 seconds" in str(error)
    assert_is_sentence(error)


def assert_is_sentence(error: FailedRequestError) -> None:
    text = str(error)
    assert text[0].isupper()
    assert text.endswith(".")
    assert " " in text
