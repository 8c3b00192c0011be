"""The service whose answers tell which way their requests came: `bentoml serve tests.fuzz.ways:HandGesture`.

With ``WAY=asgi`` no request is plain enough for the other one.
"""

from __future__ import annotations

import os
from typing import Any

from hand_gesture.bento import http_connection
from tests.faults.faulty import HandGesture  # type: ignore[attr-defined]
from tests.faults.marks import PLAIN

__all__ = ["HandGesture"]

_respond = http_connection._PlainCycle.respond


def _respond_and_tell(self: Any, status: int, headers: bytes, *rest: Any) -> None:
    _respond(self, status, PLAIN + headers, *rest)


if os.environ.get("WAY") == "asgi":
    setattr(http_connection.HttpConnection, "_take_plain_request", lambda _: False)  # noqa: B010
setattr(http_connection._PlainCycle, "respond", _respond_and_tell)  # noqa: B010
