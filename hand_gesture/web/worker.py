"""State that all requests and streams of a worker share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hand_gesture.bento.watchdog import Watchdog
from hand_gesture.errors import RejectedRequestError
from hand_gesture.settings import Settings
from hand_gesture.telemetry.metrics import Metrics
from hand_gesture.web.admission import AdmissionControl
from hand_gesture.web.responses import Answer, answer_error
from hand_gesture.web.teaching import Teaching


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker's settings, metrics and shared objects."""

    settings: Settings
    metrics: Metrics
    admission: AdmissionControl
    watchdog: Watchdog
    teaching: Callable[[], Teaching]  # may be called once the service has started

    def explain(self, error: Exception, path: str) -> Answer:
        """Map an exception to the error response, and count it if the request was rejected."""
        explained = self.admission.explain(error, path)
        if isinstance(explained, RejectedRequestError):
            self.metrics.count_rejected(explained.reason, explained.missing_landmarks)
        return answer_error(explained)
