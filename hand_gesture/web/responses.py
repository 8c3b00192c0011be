"""Answers and errors as HTTP responses."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import orjson
from starlette.types import Send

from hand_gesture.errors import FailedRequestError, Headers

CLOSE: Final = (b"connection", b"close")


@dataclass(slots=True)  # not frozen: that makes it three times as slow to create
class Answer:
    """Status, headers beside those of the body, and the body as JSON."""

    status: int
    headers: Headers
    body: bytes

    def all_headers(self) -> Headers:
        """The headers, with those of the body."""
        size = (b"content-length", b"%d" % len(self.body))
        return [(b"content-type", b"application/json"), size, *self.headers]


def answer_with(content: object) -> Answer:
    """What an API method gave, as a 200."""
    return Answer(HTTPStatus.OK, (), orjson.dumps(content))


def answer_error(error: FailedRequestError) -> Answer:
    """An error as ``ErrorResponse`` describes it."""
    return Answer(error.status, error.headers, error_body(error))


def error_body(error: FailedRequestError) -> bytes:
    """An error as JSON."""
    text = str(error).encode(errors="replace").decode()  # it may quote a client's lone surrogates, which UTF-8 has not
    return orjson.dumps({"error": text, "reason": error.reason})


async def send_answer(send: Send, answer: Answer, *, more_body: bool = False) -> None:
    """Send an answer.

    With ``more_body`` the client has it all, but its connection takes no other request until ``finish`` is called.
    """
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.all_headers()})
    await send({"type": "http.response.body", "body": answer.body, "more_body": more_body})


async def finish(send: Send) -> None:
    """End an answer that was sent with ``more_body``."""
    await send({"type": "http.response.body", "body": b""})
