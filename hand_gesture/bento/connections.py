"""How the workers' HTTP server treats a connection, where uvicorn's ways lose requests and BentoML has no setting.

BentoML starts uvicorn with its defaults, so this takes the place of uvicorn's default protocol.
tests/service/test_connections.py fails where a new BentoML or uvicorn changes what is used here.
"""

from __future__ import annotations

from typing import Any, ClassVar

import httptools
import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class ConnectionProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which keeps idle connections as long as it is told, and ignores upgrades it does not know.

    A client that would rather speak HTTP/2 sends ``Upgrade: h2c`` with its first request (``curl --http2``, Java's
    HttpClient). A server may ignore that (RFC 9110, section 7.8, https://www.rfc-editor.org/rfc/rfc9110#section-7.8),
    but httptools takes what follows the head for the other protocol. So the head is read once more without it.
    """

    keep_alive_seconds: ClassVar[float]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.timeout_keep_alive = self.keep_alive_seconds  # type: ignore[assignment]  # seconds, whole or not

    def data_received(self, data: bytes) -> None:
        """Read what a client has sent."""
        try:
            self._unset_keepalive_if_required()
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._is_unknown_upgrade():
                self._read_without_upgrade(data[upgrade.args[0] :])
            else:  # to a WebSocket, or a CONNECT, which uvicorn does not answer either
                self.handle_websocket_upgrade() if self._should_upgrade() else self._unsupported_upgrade_warning()
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def on_headers_complete(self) -> None:
        """Start on a request, unless its head is about to be read again."""
        if not self._is_unknown_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request, unless its head is about to be read again."""
        if not self._is_unknown_upgrade():
            super().on_message_complete()

    def _is_unknown_upgrade(self) -> bool:
        return bool(self.parser.should_upgrade()) and self._get_upgrade() not in (None, b"websocket")

    def _read_without_upgrade(self, rest: bytes) -> None:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % (name, value) for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.data_received(b"\r\n".join([*lines, b"", rest]))


def use_patient_connections(keep_alive_seconds: float) -> None:
    """Have the workers that start after this treat connections so.

    Args:
        keep_alive_seconds: how long an idle connection stays open.
    """
    ConnectionProtocol.keep_alive_seconds = keep_alive_seconds
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{ConnectionProtocol.__name__}"
