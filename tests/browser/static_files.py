"""Serves a folder on another origin, like the pages of a game."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *arguments: object, headers: dict[str, str], **options: object) -> None:
        self._headers = headers
        super().__init__(*arguments, **options)  # type: ignore[arg-type]

    def end_headers(self) -> None:
        for name, value in self._headers.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def serve_folder(folder: Path, **headers: str) -> Iterator[str]:
    """Serve a folder and yield its address; headers, with _ for -, are sent with every file."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    handler = functools.partial(_Handler, directory=str(folder), headers=named)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{files.server_port}"
        files.shutdown()
