"""One prediction request from its head to its answer, whether it came by ASGI or straight from the connection."""

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

CLIENT_CLOSED_REQUEST: Final = 499  # nginx's status, for the figures only: nobody is left to read it


@dataclass(frozen=True, slots=True)
class Route:
    """A prediction route: how its body is read."""

    path: str
    decode: Callable[[bytes], Any]  # to what the API method takes
    max_body_bytes: int
    is_for_one_hand: bool
    seconds: float  # until it is answered


class PredictionRequest:
    """A request that waits for its body, then for the model. It does no I/O itself."""

    __slots__ = ("_call", "_has_body", "_respond", "_route", "_started", "_worker")

    def __init__(self, worker: Worker, route: Route, respond: Callable[[Answer | None], object]) -> None:
        """Begin.

        Args:
            worker: settings, metrics and what else its requests share.
            route: that it was sent to.
            respond: called once with the answer, or with None if the client has disconnected.
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
        """Take the whole body."""
        self._has_body = True
        try:
            # Not sooner, or clients that send their bodies slowly would leave no room for the others
            self._worker.admission.check_capacity()
            hands = self._route.decode(body)
            self._call = self._worker.admission.submit(self._route.path, hands, self._on_answers)
        except Exception as error:
            self.fail(error)

    def _on_answers(self, answers: Sequence[Any] | None, error: Exception | None) -> None:
        if answers is None:
            self.fail(error or RuntimeError("there is neither an answer nor an error"))
        else:
            self._end(answer_with(answers[0] if self._route.is_for_one_hand else answers))

    def fail(self, error: Exception) -> None:
        """Answer with an error."""
        self._end(self._worker.explain(error, self._route.path))

    def disconnect(self) -> None:
        """The client has gone."""
        self._end(None)

    def check(self, now: float) -> None:
        """Answer with an error when the time is over."""
        seconds = self._route.seconds if self._has_body else self._worker.settings.request_timeout_seconds
        if now - self._started < seconds:
            return
        if self._has_body:
            self.fail(timeout_error(seconds))
        else:
            text = f"The body did not arrive within {seconds:g} seconds."
            # What else of the body comes is not read
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
