"""This service with ASGI only, to measure the gain of the direct path."""

from __future__ import annotations

from hand_gesture.bento.http_connection import HttpConnection

setattr(HttpConnection, "_take_plain_request", lambda _: False)  # noqa: B010 (mypy knows it as a method)

from service import HandGesture  # noqa: E402 (what it imports is replaced above)

__all__ = ["HandGesture"]
