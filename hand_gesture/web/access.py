"""Who may call: bearer tokens (RFC 6750, https://www.rfc-editor.org/rfc/rfc6750#section-2.1) and pages' origins."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence

from starlette.datastructures import Headers

RawHeaders = Iterable[tuple[bytes, bytes]]


def is_authorized(headers: RawHeaders, tokens: Iterable[str], key: str = "") -> bool:
    """Whether a request's headers carry one of the tokens; always, if there are none to carry.

    ``Bearer`` may be in capitals or not (RFC 9110, section 11.1). Every token is compared in full, so that the time
    taken says nothing about how near a guess was.

    Args:
        headers: of the request.
        tokens: of which one will do.
        key: what the client gave in another place, because it cannot set headers.
    """
    # An environment variable may hold bytes that are no UTF-8
    expected = [token.encode(errors="surrogateescape") for token in tokens]
    # Without starlette's Headers, as this is asked for each request
    authorization = next((value for name, value in headers if name == b"authorization"), b"")
    scheme, _, given = authorization.partition(b" ")
    if scheme.lower() != b"bearer":
        given = key.encode(errors="replace")
    return not expected or any([hmac.compare_digest(given, token) for token in expected])  # noqa: C419 (a list: no short cut)


def is_origin_allowed(headers: RawHeaders, origins: Sequence[str]) -> bool:
    """Whether the page that opens a WebSocket may: the browser asks nobody, it only tells the page's origin.

    Programs tell none, and this service's own pages have the host that they call.
    """
    fields = Headers(raw=[*headers])
    origin, host = fields.get("origin", "").lower(), fields.get("host", "").lower()
    # Whatever a client sends may stand there, so nothing is parsed: urlsplit raises for "http://["
    is_own = bool(host) and origin.partition("://")[2] == host
    return not origin or "*" in origins or origin in origins or is_own
