"""The headers by which browsers let pages of other origins read an answer (CORS)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Send

ALLOW_ORIGIN: Final = "access-control-allow-origin"
MAX_ORIGINS: Final = 1024  # whose headers are kept


class Cors(CORSMiddleware):
    """Starlette's middleware with this service's rules, which also says what it adds to an answer without ASGI."""

    def __init__(self, app: ASGIApp, allowed_origins: list[str]) -> None:
        super().__init__(
            app,
            allow_origins=allowed_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],  # tracing adds some of its own; no credentials are ever used
            allow_private_network=True,
            expose_headers=["Retry-After"],
            max_age=86_400,
        )
        self.headers_for = lru_cache(MAX_ORIGINS)(self._headers_for)

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        """Send a part of an answer, with the headers where it has not said itself which origins may read it."""
        if message["type"] == "http.response.start" and ALLOW_ORIGIN in MutableHeaders(scope=message):
            await send(message)
        else:
            await super().send(message, send, request_headers)

    def _headers_for(self, origin: bytes | None) -> bytes:
        """What is added to the answer to a request from this origin, as it goes over the wire."""
        message: dict[str, Any] = {"type": "http.response.start", "headers": []}
        request = Headers(raw=[] if origin is None else [(b"origin", origin)])
        try:
            self.send(message, _take, request).send(None)
        except StopIteration:
            return b"".join(b"%b: %b\r\n" % header for header in message["headers"])
        raise RuntimeError("Starlette's CORSMiddleware waits for something while it adds its headers")


async def _take(_: Message) -> None:
    """Where an answer goes whose headers are all that is wanted."""
