"""What browsers get: the page with the camera at /, the API's page at /docs, and the module for other pages.

Whatever a page needs comes from here. Addresses of what does not change carry a digest of it, so that a browser keeps
it for good; the page itself and the module are asked for each time, and answered with 304 where they are the same.

The module, its parts and MediaPipe's files are the same for everyone, so pages of every origin may load them, whatever
ALLOWED_ORIGINS says; that counts where a page asks for predictions.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from string import Template
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

_SOURCES: Final = Path(__file__).parent / "page"
_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}
_CHUNK_BYTES: Final = 65_536
_FOR_GOOD: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_ASK_EACH_TIME: Final = {"Cache-Control": "no-cache"}
# The second is for pages that are isolated (Cross-Origin-Embedder-Policy): a worker's scripts come without CORS
_FOR_EVERYONE: Final = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
# What MediaPipe needs, https://www.w3.org/TR/CSP3/: to compile WebAssembly, and to start it from a blob
_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_COMMON: Final = {
    "Content-Security-Policy": _PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
}
# BentoML's own page loads an analytics script from elsewhere; this one is content with Swagger UI, which BentoML serves
_API_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Hand gestures: API</title>
    <link rel="icon" href="page/{digest}/icon.svg">
    <link rel="stylesheet" href="static_content/swagger-ui.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="static_content/swagger-ui-bundle.js"></script>
    <script src="static_content/swagger-ui-standalone-preset.js"></script>
    <script src="static_content/swagger-initializer.js"></script>
  </body>
</html>
"""
# What /gestures.js holds; the address of the service is that of this module
_MODULE: Final = Template("""\
import { loadFinder as load, startGestures as start } from "$page/gestures.js";
export { openStream } from "$page/gestures.js";
const finder = "$finder";
export const loadFinder = (options) => load({ finder, ...options });
export const startGestures = (options) => start({ finder, ...options });
""")
# Lines that are comments alone: half of the modules' size
_COMMENTS: Final = re.compile(r"^[ \t]*(?:/\*\*.*?\*/|//[^\n]*)$", re.MULTILINE | re.DOTALL)
_API_PAGE_POLICY: Final = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"

Answer = Callable[[Request], Awaitable[Response]]


def page_routes(mediapipe: Path) -> list[BaseRoute]:
    """Make the routes.

    Args:
        mediapipe: the folder that fetch_mediapipe.py fills; the page says so where it is not there.
    """
    page, finder = _Sources(_SOURCES), _Fetched(mediapipe)

    async def api(_: Request) -> Response:
        return HTMLResponse(
            _API_PAGE.format(digest=page.digest), headers=_COMMON | {"Content-Security-Policy": _API_PAGE_POLICY}
        )

    return [
        Route("/", _index(page, finder)),
        Route("/gestures.js", _module(page, finder, root="./")),
        Route("/v1/gestures.js", _module(page, finder, root="../")),
        Route(f"/page/{page.digest}/{{name}}", page.answer),
        Route(f"/mediapipe/{finder.digest}/{{name}}", finder.answer),
        Route("/docs", api),
    ]


def _index(page: _Sources, finder: _Fetched) -> Answer:
    folder = f"page/{page.digest}"
    modules = [name for name in sorted(page.files) if name.endswith(".js")]
    html = Template((_SOURCES / "index.html").read_text()).substitute(
        page=folder,
        finder=f"mediapipe/{finder.digest}" if finder.is_there else "",
        preload="\n    ".join(f'<link rel="modulepreload" href="{folder}/{name}">' for name in modules),
    )
    return _unless_known(_File(html.encode(), ".html"), {"Permissions-Policy": "camera=(self), microphone=()"})


def _module(page: _Sources, finder: _Fetched, root: str) -> Answer:
    script = _MODULE.substitute(
        page=f"{root}page/{page.digest}", finder=f"mediapipe/{finder.digest}" if finder.is_there else ""
    )
    return _unless_known(_File(script.encode(), ".js"), _FOR_EVERYONE)


def _unless_known(file: _File, headers: dict[str, str]) -> Answer:
    headers = headers | _ASK_EACH_TIME | {"ETag": f'"{_digest(file.content)}"'}

    async def answer(request: Request) -> Response:
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=_COMMON | headers)
        return file.answer(request, headers)

    return answer


class _File:
    """A small file, kept in memory as it is and compressed."""

    def __init__(self, content: bytes, suffix: str) -> None:
        self.content = content
        self._compressed = gzip.compress(content, mtime=0)
        self._media_type = _MEDIA_TYPES[suffix]

    def answer(self, request: Request, headers: dict[str, str]) -> Response:
        """Answer with the file."""
        headers = _COMMON | headers | {"Content-Type": self._media_type}
        if _takes_gzip(request):
            return Response(self._compressed, headers=headers | {"Content-Encoding": "gzip"})
        return Response(self.content, headers=headers)


class _Sources:
    """The page's own scripts and styles."""

    def __init__(self, folder: Path) -> None:
        self.files = {
            path.name: _File(_served(path), path.suffix) for path in folder.iterdir() if path.name != "index.html"
        }
        self.digest = _digest(b"".join(name.encode() + file.content for name, file in sorted(self.files.items())))

    async def answer(self, request: Request) -> Response:
        """Answer with a file."""
        file = self.files.get(request.path_params["name"])
        if file is None:
            raise HTTPException(404)
        return file.answer(request, _FOR_GOOD | _FOR_EVERYONE)


def _served(path: Path) -> bytes:
    """A source's content: of scripts without comments, but with their lines, for whoever looks for an error."""
    if path.suffix != ".js":
        return path.read_bytes()
    return _COMMENTS.sub(lambda comment: "\n" * comment[0].count("\n"), path.read_text()).encode()


class _Fetched:
    """MediaPipe's files: large, on the disk, compressed."""

    def __init__(self, folder: Path) -> None:
        self._files = {path.name.removesuffix(".gz"): path for path in folder.glob("*.gz")}
        self.is_there = bool(self._files)
        self.digest = _digest(b"".join(path.read_bytes() for path in sorted(self._files.values())))

    async def answer(self, request: Request) -> Response:
        """Answer with a file, a piece at a time, so that clients that are slow or many take no memory."""
        path = self._files.get(request.path_params["name"])
        if path is None:
            raise HTTPException(404)
        media_type = _MEDIA_TYPES.get(path.with_suffix("").suffix, "application/octet-stream")
        headers = _COMMON | _FOR_GOOD | _FOR_EVERYONE
        if _takes_gzip(request):
            return FileResponse(path, headers=headers | {"Content-Encoding": "gzip"}, media_type=media_type)
        return StreamingResponse(_decompressed(path), headers=headers, media_type=media_type)


def _decompressed(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
