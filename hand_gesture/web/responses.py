"""Answers and errors as bytes of an HTTP response."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import orjson
from starlette.types import Send

from hand_gesture.errors import FailedRequestError, Headers

_JSON: Final = (b"content-type", b"application/json")


async def send_answer(send: Send, answer: object) -> None:
    """Send what an API method gave as the JSON of a 200."""
    await _send_json(send, HTTPStatus.OK, answer)


async def send_error(send: Send, error: FailedRequestError, *, more_body: bool = False) -> None:
    """Send an error as ``ErrorResponse`` describes it.

    With ``more_body`` the client has it all, but its connection takes no other request until ``finish`` is called.
    """
    await _send_json(send, error.status, {"error": str(error), "reason": error.reason}, error.headers, more_body)


async def finish(send: Send) -> None:
    """End an answer that was sent with ``more_body``."""
    await send({"type": "http.response.body", "body": b""})


async def _send_json(send: Send, status: int, content: object, headers: Headers = (), more_body: bool = False) -> None:
    # Straight to ASGI: a Response object takes as long as the decoding of a hand
    body = orjson.dumps(content)
    size = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [_JSON, size, *headers]})
    await send({"type": "http.response.body", "body": body, "more_body": more_body})
