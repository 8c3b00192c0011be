"""Errors that clients get, and their machine-readable reasons."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

Headers = Sequence[tuple[bytes, bytes]]


class Reason(StrEnum):
    """Why a request was rejected: ``reason`` in the response and in ``hand_gesture_invalid_requests_total``."""

    UNAUTHORIZED = "unauthorized"
    FORBIDDEN_ORIGIN = "forbidden_origin"
    INVALID_JSON = "invalid_json"
    INVALID_REQUEST = "invalid_request"
    MISSING_LANDMARKS = "missing_landmarks"
    MALFORMED_LANDMARKS = "malformed_landmarks"
    INVALID_IMAGE_SIZE = "invalid_image_size"
    TOO_MANY_HANDS = "too_many_hands"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TOO_SLOW = "body_too_slow"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    METHOD_NOT_ALLOWED = "method_not_allowed"


class ServerReason(StrEnum):
    """Why a valid request failed."""

    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    MODEL_FAILED = "model_failed"


class FailedRequestError(Exception):
    """A request that gets an error response: HTTP ``status``, machine-readable ``reason``, and a sentence."""

    def __init__(self, status: int, reason: Reason | ServerReason, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.headers = headers


class RejectedRequestError(FailedRequestError):
    """An invalid request, status 4xx.

    ``missing_landmarks`` is the number of points that are absent, null or not finite.
    """

    reason: Reason

    def __init__(
        self, status: int, reason: Reason, message: str, headers: Headers = (), *, missing_landmarks: int = 0
    ) -> None:
        super().__init__(status, reason, message, headers)
        self.missing_landmarks = missing_landmarks
