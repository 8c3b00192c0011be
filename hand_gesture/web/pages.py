"""Pages for browsers: the camera page at /, the API documentation at /docs, and /gestures.js for other pages.

Pages load nothing from other servers. URLs of static files contain a digest of their content, so browsers cache them
forever; the page and /gestures.js have fixed URLs, and browsers revalidate them by ETag.

/gestures.js, its imports and MediaPipe's files may be loaded by pages of any origin: they hold nothing private, and
ALLOWED_ORIGINS is checked when a page requests predictions.
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
_IMMUTABLE: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_REVALIDATE: Final = {"Cache-Control": "no-cache"}
# Pages with a Cross-Origin-Embedder-Policy also need the second header, because worker scripts load without CORS
_ANY_ORIGIN: Final = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
# MediaPipe compiles WebAssembly and starts it from a blob URL; see https://www.w3.org/TR/CSP3/
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
# Uses the Swagger UI that BentoML serves; BentoML's own page also loads an analytics script from another server
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
# The content of /gestures.js, which derives the service's URL from its own
_MODULE: Final = Template("""\
import { loadFinder as load, startGestures as start } from "$page/gestures.js";
export { openStream } from "$page/gestures.js";
const finder = "$finder";
export const loadFinder = (options) => load({ ...options, finder: options?.finder ?? finder });
export const startGestures = (options) => start({ ...options, finder: options?.finder ?? finder });
""")
# Comments are half of the modules' size. With a quotation mark after it, // may be part of a string
_COMMENTS: Final = re.compile(
    r"""^[ \t]*(?:/\*\*.*?\*/|//[^\n]*)$|(?<=[;,{})])[ ]//[^\n"'`]*$""", re.MULTILINE | re.DOTALL
)
_API_PAGE_POLICY: Final = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"

Answer = Callable[[Request], Awaitable[Response]]


def page_routes(mediapipe: Path) -> list[BaseRoute]:
    """Make the routes.

    Args:
        mediapipe: the folder that fetch_mediapipe.py fills; without it, the page works without a camera.
    """
    page, finder = _PageFiles(_SOURCES), _MediaPipeFiles(mediapipe)

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


def _index(page: _PageFiles, finder: _MediaPipeFiles) -> Answer:
    folder = f"page/{page.digest}"
    modules = [name for name in sorted(page.files) if name.endswith(".js")]
    html = Template((_SOURCES / "index.html").read_text()).substitute(
        page=folder,
        finder=f"mediapipe/{finder.digest}" if finder.is_available else "",
        preload="\n    ".join(f'<link rel="modulepreload" href="{folder}/{name}">' for name in modules),
    )
    return _revalidated(_File(html.encode(), ".html"), {"Permissions-Policy": "camera=(self), microphone=()"})


def _module(page: _PageFiles, finder: _MediaPipeFiles, root: str) -> Answer:
    script = _MODULE.substitute(
        page=f"{root}page/{page.digest}", finder=f"mediapipe/{finder.digest}" if finder.is_available else ""
    )
    return _revalidated(_File(script.encode(), ".js"), _ANY_ORIGIN)


def _revalidated(file: _File, headers: dict[str, str]) -> Answer:
    headers = headers | _REVALIDATE | {"ETag": f'"{_digest(file.content)}"'}

    async def answer(request: Request) -> Response:
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=_COMMON | headers)
        return file.answer(request, headers)

    return answer


class _File:
    """A small file in memory, with a gzipped copy."""

    def __init__(self, content: bytes, suffix: str) -> None:
        self.content = content
        self._compressed = gzip.compress(content, mtime=0)
        self._media_type = _MEDIA_TYPES[suffix]

    def answer(self, request: Request, headers: dict[str, str]) -> Response:
        """Respond with the file."""
        headers = _COMMON | headers | {"Content-Type": self._media_type}
        if _accepts_gzip(request):
            return Response(self._compressed, headers=headers | {"Content-Encoding": "gzip"})
        return Response(self.content, headers=headers)


class _PageFiles:
    """The page's own scripts and styles."""

    def __init__(self, folder: Path) -> None:
        self.files = {
            path.name: _File(_read_source(path), path.suffix) for path in folder.iterdir() if path.name != "index.html"
        }
        self.digest = _digest(b"".join(name.encode() + file.content for name, file in sorted(self.files.items())))

    async def answer(self, request: Request) -> Response:
        """Respond with a file."""
        file = self.files.get(request.path_params["name"])
        if file is None:
            raise HTTPException(404)
        return file.answer(request, _IMMUTABLE | _ANY_ORIGIN)


def _read_source(path: Path) -> bytes:
    """Read a source file; strips comments from scripts, but keeps line numbers for stack traces."""
    if path.suffix != ".js":
        return path.read_bytes()
    return _COMMENTS.sub(lambda comment: "\n" * comment[0].count("\n"), path.read_text()).encode()


class _MediaPipeFiles:
    """MediaPipe's files, which are large: served from disk, where they are gzipped."""

    def __init__(self, folder: Path) -> None:
        self._files = {path.name.removesuffix(".gz"): path for path in folder.glob("*.gz")}
        self.is_available = bool(self._files)
        self.digest = _digest(b"".join(path.read_bytes() for path in sorted(self._files.values())))

    async def answer(self, request: Request) -> Response:
        """Respond with a file, in chunks, so that many or slow clients do not need much memory."""
        path = self._files.get(request.path_params["name"])
        if path is None:
            raise HTTPException(404)
        media_type = _MEDIA_TYPES.get(path.with_suffix("").suffix, "application/octet-stream")
        headers = _COMMON | _IMMUTABLE | _ANY_ORIGIN
        if _accepts_gzip(request):
            return FileResponse(path, headers=headers | {"Content-Encoding": "gzip"}, media_type=media_type)
        return StreamingResponse(_decompressed(path), headers=headers, media_type=media_type)


def _decompressed(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _accepts_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
