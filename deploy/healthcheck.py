"""Health check of the image: requests /readyz at the address that the environment configures."""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping
from typing import Final

SECONDS: Final = 10.0
_ANY: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (connects to it, does not bind)


def address(environment: Mapping[str, str]) -> tuple[str, int]:
    """Host and port of the service.

    The image's entry point lets PORT override BENTOML_PORT, even when PORT is empty, which means the default port.
    """
    host = environment.get("BENTOML_HOST", "")
    port = environment.get("PORT", environment.get("BENTOML_PORT", ""))
    return _ANY.get(host, host), int(port or 3000)


def main() -> None:
    """Exit with 0 if the service is ready."""
    host, port = address(os.environ)
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"Nothing answers on {host}, port {port}: {error or type(error).__name__}.")
    if status != http.HTTPStatus.OK:
        sys.exit(f"/readyz on {host}, port {port}, answers {status}.")


if __name__ == "__main__":
    main()
