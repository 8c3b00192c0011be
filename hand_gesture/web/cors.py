"""CORS headers, which let pages of other origins read responses."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Send

ALLOW_ORIGIN: Final = "access-control-allow-origin"
MAX_ORIGINS: Final = 1024  # in the cache of headers


class Cors(CORSMiddleware):
    """Starlette's middleware with this service's rules; it also gives the headers of responses that skip ASGI."""

    def __init__(self, app: ASGIApp, allowed_origins: list[str]) -> None:
        super().__init__(
            app,
            allow_origins=allowed_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],  # tracing tools add their own headers; credentials are not allowed
            allow_private_network=True,
            expose_headers=["Retry-After"],
            max_age=86_400,
        )
        self.headers_for = lru_cache(MAX_ORIGINS)(self._headers_for)

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        """Send a message; add the headers unless the response has its own ``Access-Control-Allow-Origin``."""
        if message["type"] == "http.response.start" and ALLOW_ORIGIN in MutableHeaders(scope=message):
            await send(message)
        else:
            await super().send(message, send, request_headers)

    def _headers_for(self, origin: bytes | None) -> bytes:
        """The raw header lines for a response to a request with this ``Origin``."""
        message: dict[str, Any] = {"type": "http.response.start", "headers": []}
        request = Headers(raw=[] if origin is None else [(b"origin", origin)])
        try:
            self.send(message, _discard, request).send(None)  # runs the coroutine, which never waits
        except StopIteration:
            return b"".join(b"%b: %b\r\n" % header for header in message["headers"])
        raise RuntimeError("Starlette's CORSMiddleware awaited something while adding headers")


async def _discard(_: Message) -> None:
    """Discard a message, of which only the headers are needed."""
