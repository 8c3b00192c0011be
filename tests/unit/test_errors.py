from __future__ import annotations

from hand_gesture.errors import FailedRequestError, Reason, RejectedRequestError, ServerReason


def test_errors_have_status_reason_and_message() -> None:
    failed = FailedRequestError(503, ServerReason.OVERLOADED, "Later.", [(b"retry-after", b"1")])
    assert (failed.status, failed.reason, str(failed)) == (503, "overloaded", "Later.")
    assert failed.headers == [(b"retry-after", b"1")]
    rejected = RejectedRequestError(401, Reason.UNAUTHORIZED, "No.", [(b"a", b"b")], missing_landmarks=2)
    assert (rejected.status, rejected.reason, str(rejected)) == (401, "unauthorized", "No.")
    assert (rejected.headers, rejected.missing_landmarks) == ([(b"a", b"b")], 2)


def test_without_headers_and_missing_points_there_are_none() -> None:
    assert FailedRequestError(504, ServerReason.TIMEOUT, "Late.").headers == ()
    assert RejectedRequestError(400, Reason.INVALID_JSON, "No.").headers == ()
    assert RejectedRequestError(400, Reason.INVALID_JSON, "No.").missing_landmarks == 0
