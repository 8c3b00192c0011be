"""Bearer tokens (RFC 6750, https://www.rfc-editor.org/rfc/rfc6750#section-2.1)."""

from __future__ import annotations

import hmac
from collections.abc import Iterable


def is_authorized(headers: Iterable[tuple[bytes, bytes]], tokens: Iterable[str]) -> bool:
    """Whether a request's headers carry one of the tokens; always, if there are none to carry.

    ``Bearer`` may be in capitals or not (RFC 9110, section 11.1). Every token is compared in full, so that the time
    taken says nothing about how near a guess was.
    """
    expected = [token.encode() for token in tokens]
    scheme, _, given = next((value for name, value in headers if name == b"authorization"), b"").partition(b" ")
    if scheme.lower() != b"bearer":
        given = b""
    return not expected or any([hmac.compare_digest(given, token) for token in expected])  # noqa: C419 (a list: no short cut)
