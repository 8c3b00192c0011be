"""The pages without MediaPipe; tests/service/test_pages.py has those of the service."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from starlette.applications import Starlette

from hand_gesture.web.pages import _read_source, page_routes


def test_clients_that_accept_no_encoding_get_none(tmp_path: Path) -> None:
    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=page_routes(tmp_path)))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            del client.headers["accept-encoding"]
            return await client.get("/")

    answer = asyncio.run(main())
    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers
    assert "accept-encoding" not in answer.request.headers


def test_without_mediapipe_the_pages_name_no_folder_of_it(tmp_path: Path) -> None:
    async def main() -> list[str]:
        transport = httpx.ASGITransport(Starlette(routes=page_routes(tmp_path)))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return [(await client.get(path)).text for path in ("/", "/gestures.js", "/v1/gestures.js")]

    page, *modules = asyncio.run(main())
    assert 'name="finder" content=""' in page
    for module in modules:
        assert 'const finder = "";' in module


def test_strings_are_no_comments(tmp_path: Path) -> None:
    script = tmp_path / "script.js"
    script.write_text("""\
/** Of the whole line. */
const one = 1; // one
  // the same
const address = "http://x"; // no quotation mark
const text = ["a; // b", `c; // d`]; // it's kept
""")
    assert _read_source(script).decode().splitlines() == [
        "",
        "const one = 1;",
        "",
        'const address = "http://x";',
        """const text = ["a; // b", `c; // d`]; // it's kept""",
    ]
