"""Answers and errors as bytes of an HTTP response."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import orjson
from starlette.types import Send

from hand_gesture.errors import FailedRequestError, Headers

JSON: Final = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body as JSON, and headers beside those of the body."""

    status: int
    body: bytes
    headers: Headers = ()


def answer_with(content: object) -> Answer:
    """What an API method gave, as a 200."""
    return Answer(HTTPStatus.OK, orjson.dumps(content))


def answer_error(error: FailedRequestError) -> Answer:
    """An error as ``ErrorResponse`` describes it."""
    return Answer(error.status, orjson.dumps({"error": str(error), "reason": error.reason}), error.headers)


async def send_answer(send: Send, answer: Answer, *, more_body: bool = False) -> None:
    """Send an answer.

    With ``more_body`` the client has it all, but its connection takes no other request until ``finish`` is called.
    """
    # Straight to ASGI: a Response object takes as long as the decoding of a hand
    size = (b"content-length", b"%d" % len(answer.body))
    await send({"type": "http.response.start", "status": answer.status, "headers": [JSON, size, *answer.headers]})
    await send({"type": "http.response.body", "body": answer.body, "more_body": more_body})


async def finish(send: Send) -> None:
    """End an answer that was sent with ``more_body``."""
    await send({"type": "http.response.body", "body": b""})
