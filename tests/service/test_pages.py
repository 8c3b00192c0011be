"""HTTP responses of the pages: content, compression, caching and security headers."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest

from tests.hands import REFERENCE
from tests.server import PROJECT, Server

MAX_MODULE_BYTES = 12_000  # compressed
MEDIAPIPE = PROJECT / "build" / "mediapipe"
MEDIAPIPE_TYPES = {
    ".wasm": "application/wasm",  # needed for streaming compilation
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".task": "application/octet-stream",
}


def linked(page: httpx.Response) -> list[str]:
    return re.findall(r'(?:src|href)="(.*?)"', page.text)


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_link_only_existing_local_files(server: Server, path: str) -> None:
    page = server.client.get(path)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert re.search(r"default-src '(none|self)'", page.headers["content-security-policy"])
    assert "unsafe-eval" not in page.headers["content-security-policy"].replace("wasm-unsafe-eval", "")
    assert linked(page)
    for link in linked(page):
        assert server.client.get(f"/{link}").is_success


def test_scripts_are_preloaded(server: Server) -> None:
    preloaded = re.findall(r'<link rel="modulepreload" href="page/[0-9a-f]{16}/([\w.]+)">', server.client.get("/").text)
    assert preloaded == sorted(path.name for path in (PROJECT / "hand_gesture" / "web" / "page").glob("*.js"))


def test_scripts_keep_their_line_numbers_without_comments(server: Server) -> None:
    """For stack traces."""
    for link in re.findall(r'"(page/[0-9a-f]{16}/[\w.]+\.js)"', server.client.get("/").text):
        source = (PROJECT / "hand_gesture" / "web" / "page" / Path(link).name).read_text().splitlines()
        served = server.client.get(f"/{link}").text.splitlines()
        assert len(served) == len(source)
        for line, of_source in zip(served, source, strict=True):
            assert line in ("", of_source, of_source.partition(" //")[0])
        assert served != source


def test_assets_are_compressed_and_cached(server: Server) -> None:
    for link in linked(server.client.get("/")):
        if "/" not in link:
            continue
        answers = [
            server.client.get(f"/{link}", headers={"Accept-Encoding": coding}) for coding in ("gzip", "identity")
        ]
        assert [answer.headers.get("content-encoding") for answer in answers] == ["gzip", None]
        assert answers[0].content == answers[1].content
        for answer in answers:
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_itself_is_revalidated(server: Server) -> None:
    page = server.client.get("/")
    assert page.headers["cache-control"] == "no-cache"
    assert page.headers["permissions-policy"] == "camera=(self), microphone=()"
    again = server.client.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("etag", "cache-control", "content-security-policy", "permissions-policy"):
        assert again.headers[name] == page.headers[name]
    assert server.client.get("/", headers={"If-None-Match": '"another"'}).status_code == 200


@pytest.mark.skipif(not MEDIAPIPE.exists(), reason="MediaPipe was not fetched: run make page")
def test_mediapipe_is_served_unchanged(server: Server) -> None:
    folder = re.search(r'name="finder" content="(.*?)"', server.client.get("/").text)
    assert folder is not None
    for path in MEDIAPIPE.glob("*.gz"):
        url = f"/{folder[1]}/{path.name.removesuffix('.gz')}"
        with server.client.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as compressed:
            assert b"".join(compressed.iter_raw()) == path.read_bytes()
        plain = server.client.get(url, headers={"Accept-Encoding": "identity"})
        assert plain.content == gzip.decompress(path.read_bytes())
        assert (compressed.headers.get("content-encoding"), plain.headers.get("content-encoding")) == ("gzip", None)
        for answer in (compressed, plain):
            assert answer.headers["content-type"] == MEDIAPIPE_TYPES[path.with_suffix("").suffix]
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["access-control-allow-origin"] == "*"
            assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["vary"] == "Accept-Encoding"
    assert server.client.get(f"/{folder[1]}/other").status_code == 404
    assert f'const finder = "{folder[1]}";' in server.client.get("/gestures.js").text


@pytest.mark.parametrize(
    "path", ["{page}/index.html", "{page}/..%2f..%2fpages.py", "page/0/main.js", "mediapipe/0/LICENSE"]
)
def test_no_other_files_are_served(server: Server, path: str) -> None:
    page = next(link for link in linked(server.client.get("/")) if link.endswith("main.js")).rpartition("/")[0]
    assert server.client.get("/" + path.format(page=page)).status_code == 404


def test_reference_hands(server: Server) -> None:
    document = server.client.get("/reference_hands.json").json()
    assert document["hands"] == REFERENCE.hands
    assert document["image_size"] == list(REFERENCE.image_size)
    assert document["gestures"] == list(REFERENCE.hands)
    assert document["commands"]["like"] == "up"
    model = document["model"]
    assert (model["name"], model["kind"], model["bundled"]) == ("hand_gesture", "MLPClassifier", True)
    labels = f'feature_contract="{model["features"]}",kind="MLPClassifier",version="{model["version"]}"'
    assert any(labels in name for name in server.metrics())


def module_parts(server: Server) -> dict[str, httpx.Response]:
    """The module and all that it loads but MediaPipe, by path."""
    parts: dict[str, httpx.Response] = {}
    waiting = ["/gestures.js"]
    while waiting:
        path = waiting.pop()
        if path not in parts:
            parts[path] = server.client.get(path, headers={"Origin": "https://game.example"})
            links = re.findall(r'(?:from |URL\()"(\./[^"]+\.js)"', parts[path].text)
            waiting += [str(httpx.URL(f"http://a{path}").join(link).path) for link in links]
    return parts


def test_the_module_is_small_and_allowed_for_every_origin(server: Server) -> None:
    parts = module_parts(server)
    assert {path.rpartition("/")[2] for path in parts} >= {"gestures.js", "stream.js", "finder_worker.js"}
    for part in parts.values():
        assert part.is_success
        assert part.headers["access-control-allow-origin"] == "*"
        assert part.headers["cross-origin-resource-policy"] == "cross-origin"
        assert "@param" not in part.text
    assert sum(int(part.headers["content-length"]) for part in parts.values()) <= MAX_MODULE_BYTES


def test_the_module_is_revalidated_and_versioned(server: Server) -> None:
    module = server.client.get("/gestures.js")
    assert module.headers["cache-control"] == "no-cache"
    again = server.client.get("/gestures.js", headers={"If-None-Match": module.headers["etag"]})
    assert (again.status_code, again.headers["access-control-allow-origin"]) == (304, "*")
    assert server.client.get("/v1/gestures.js").text == module.text.replace('"./page', '"../page')
