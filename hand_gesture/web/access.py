"""Who may call: bearer tokens (RFC 6750, https://www.rfc-editor.org/rfc/rfc6750#section-2.1) and pages' origins."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

Headers = Iterable[tuple[bytes, bytes]]


def is_authorized(headers: Headers, tokens: Iterable[str], key: str = "") -> bool:
    """Whether a request's headers carry one of the tokens; always, if there are none to carry.

    ``Bearer`` may be in capitals or not (RFC 9110, section 11.1). Every token is compared in full, so that the time
    taken says nothing about how near a guess was.

    Args:
        headers: of the request.
        tokens: of which one will do.
        key: what the client gave in another place, because it cannot set headers.
    """
    expected = [token.encode() for token in tokens]
    scheme, _, given = _find(headers, b"authorization").partition(b" ")
    if scheme.lower() != b"bearer":
        given = key.encode(errors="replace")
    return not expected or any([hmac.compare_digest(given, token) for token in expected])  # noqa: C419 (a list: no short cut)


def is_welcome(headers: Headers, origins: Sequence[str]) -> bool:
    """Whether the page that opens a WebSocket may: the browser asks nobody, it only tells the page's origin.

    Programs tell none, and this service's own pages have the host that they call.
    """
    headers = list(headers)
    origin = _find(headers, b"origin").decode("latin-1")
    host = _find(headers, b"host").decode("latin-1")
    return not origin or "*" in origins or origin.lower() in origins or urlsplit(origin).netloc.lower() == host.lower()


def _find(headers: Headers, name: bytes) -> bytes:
    return next((value for header, value in headers if header == name), b"")
