"""Access control: bearer tokens (RFC 6750, https://www.rfc-editor.org/rfc/rfc6750#section-2.1) and browser origins."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence

from starlette.datastructures import Headers

from hand_gesture.settings import Settings

RawHeaders = Iterable[tuple[bytes, bytes]]


def is_authorized(headers: RawHeaders, tokens: Iterable[str], key: str = "") -> bool:
    """Whether the headers carry one of the tokens; always true if there are no tokens.

    The scheme ``Bearer`` is case-insensitive (RFC 9110, section 11.1). All tokens are compared in constant time, so
    that timing reveals nothing about them.

    Args:
        headers: raw request headers.
        tokens: any one of them grants access.
        key: a token that the client sent elsewhere, used if the headers hold no bearer token.
    """
    # An environment variable may hold bytes that are not UTF-8
    expected = [token.encode(errors="surrogateescape") for token in tokens]
    # Not starlette's Headers, which are too slow for each request
    authorization = next((value for name, value in headers if name == b"authorization"), b"")
    scheme, _, given = authorization.partition(b" ")
    if scheme.lower() != b"bearer":
        given = key.encode(errors="replace")
    return not expected or any([hmac.compare_digest(given, token) for token in expected])  # noqa: C419 (no early exit)


def is_origin_allowed(headers: RawHeaders, origins: Sequence[str]) -> bool:
    """Whether a page may open a WebSocket: CORS does not apply to WebSockets, so the server checks ``Origin``.

    Clients that are not browsers send no ``Origin``; the service's own pages have the origin of its host.
    """
    fields = Headers(raw=[*headers])
    origin, host = fields.get("origin", "").lower(), fields.get("host", "").lower()
    is_own = bool(host) and origin.partition("://")[2] == host  # not urlsplit, which raises for "http://["
    return not origin or "*" in origins or origin in origins or is_own


def describe_access(settings: Settings) -> str:
    """Who may use the service, for the log."""
    predictions = "require a key" if settings.api_key else "are open to everyone (API_KEY is not set)"
    metrics = "requires the token" if settings.metrics_token else "is open to everyone (METRICS_TOKEN is not set)"
    return f"predictions {predictions}, /metrics {metrics}"
