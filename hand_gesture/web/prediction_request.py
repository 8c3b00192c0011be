"""The life cycle of one prediction request, whether it came through ASGI or directly from the connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final

from hand_gesture.errors import Reason, RejectedRequestError
from hand_gesture.web.admission import Cancellable, timeout_error
from hand_gesture.web.responses import CLOSE, Answer, answer_with
from hand_gesture.web.worker import Worker

CLIENT_CLOSED_REQUEST: Final = 499  # nginx's status, only for metrics


@dataclass(frozen=True, slots=True)
class Route:
    """A prediction route."""

    path: str
    decode: Callable[[bytes], Any]  # returns the argument of the API method
    max_body_bytes: int
    is_for_one_hand: bool
    seconds: float  # deadline for the body and the response together


class PredictionRequest:
    """A request that waits for its body, then for the model. Does no I/O."""

    __slots__ = ("_call", "_has_body", "_respond", "_route", "_started", "_worker")

    def __init__(self, worker: Worker, route: Route, respond: Callable[[Answer | None], object]) -> None:
        """Start the deadline.

        Args:
            worker: settings, metrics and state that its requests share.
            route: of the request.
            respond: called once with the response, or with None if the client has disconnected.
        """
        self._worker = worker
        self._route = route
        self._respond: Callable[[Answer | None], object] | None = respond
        self._has_body = False
        self._call: Cancellable | None = None
        self._started = perf_counter()
        worker.metrics.begin_request()
        worker.watchdog.add(self)

    def receive(self, body: bytes) -> None:
        """Handle the complete body."""
        self._has_body = True
        try:
            # Not before the body has arrived, so that slow clients do not use up the capacity
            self._worker.admission.check_capacity()
            hands = self._route.decode(body)
            self._call = self._worker.admission.submit(self._route.path, hands, self._on_answers)
        except Exception as error:
            self.fail(error)

    def _on_answers(self, answers: Sequence[Any] | None, error: Exception | None) -> None:
        if answers is None:
            self.fail(error or RuntimeError("the API method returned neither answers nor an error"))
        else:
            self._end(answer_with(answers[0] if self._route.is_for_one_hand else answers))

    def fail(self, error: Exception) -> None:
        """Respond with an error."""
        self._end(self._worker.explain(error, self._route.path))

    def disconnect(self) -> None:
        """The client has disconnected."""
        self._end(None)

    def check(self, now: float) -> None:
        """Respond with an error if the deadline has passed."""
        seconds = self._route.seconds
        if now - self._started < seconds:
            return
        if self._has_body:
            self.fail(timeout_error(seconds))
        else:
            text = f"The body did not arrive within {seconds:g} seconds."
            # CLOSE, because the rest of the body is not read
            self.fail(RejectedRequestError(HTTPStatus.REQUEST_TIMEOUT, Reason.BODY_TOO_SLOW, text, [CLOSE]))

    def _end(self, answer: Answer | None) -> None:
        respond, self._respond = self._respond, None
        if respond is None:
            return
        if self._call is not None:
            self._call.cancel()
        self._worker.watchdog.discard(self)
        status = CLIENT_CLOSED_REQUEST if answer is None else answer.status
        self._worker.metrics.end_request(self._route.path, status, perf_counter() - self._started)
        respond(answer)
