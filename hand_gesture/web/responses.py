"""HTTP responses: predictions and errors as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import orjson
from starlette.types import Send

from hand_gesture.errors import FailedRequestError, Headers

CLOSE: Final = (b"connection", b"close")


@dataclass(slots=True)  # not frozen, which takes three times as long to create
class Answer:
    """A response: status, headers except those of the body, and a JSON body."""

    status: int
    headers: Headers
    body: bytes

    def all_headers(self) -> Headers:
        """All headers, with Content-Type and Content-Length."""
        size = (b"content-length", b"%d" % len(self.body))
        return [(b"content-type", b"application/json"), size, *self.headers]

    def header_lines(self) -> bytes:
        """The same as raw lines."""
        lines = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(self.body)
        return lines + b"".join([b"%b: %b\r\n" % header for header in self.headers]) if self.headers else lines


def answer_with(content: object) -> Answer:
    """A response with status 200."""
    return Answer(HTTPStatus.OK, (), orjson.dumps(content))


def answer_error(error: FailedRequestError) -> Answer:
    """An error response; its body is an ``ErrorResponse``."""
    return Answer(error.status, error.headers, error_body(error))


def error_body(error: FailedRequestError) -> bytes:
    """An ``ErrorResponse`` as JSON."""
    text = str(error).encode(errors="replace").decode()  # it may quote lone surrogates, which UTF-8 cannot encode
    return orjson.dumps({"error": text, "reason": error.reason})


async def send_answer(send: Send, answer: Answer, *, more_body: bool = False) -> None:
    """Send a response.

    With ``more_body`` the client gets the complete body, but uvicorn reads the connection's next request only after
    ``finish`` was called.
    """
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.all_headers()})
    await send({"type": "http.response.body", "body": answer.body, "more_body": more_body})


async def finish(send: Send) -> None:
    """Finish a response that was sent with ``more_body``."""
    await send({"type": "http.response.body", "body": b""})
