from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable

import pytest

from tests.containers.conftest import Container, docker, eventually
from tests.hands import IMAGE_SIZE, LIKE
from tests.load import encode_request, read_response
from tests.server import GENEROUS_LIMITS, PROJECT

MAX_BYTES = 500_000_000
BODY = {"landmarks": LIKE, "image_size": IMAGE_SIZE}


def ready(container: Container) -> bool:
    return container.client.get("/readyz").is_success


def test_size_and_labels(image: str) -> None:
    (details,) = json.loads(docker("image", "inspect", image))
    print(f"image: {details['Size'] / 1e6:.0f} MB")
    assert details["Size"] <= MAX_BYTES
    labels = details["Config"]["Labels"]
    for name in ("title", "version", "source", "licenses"):
        assert f"org.opencontainers.image.{name}" in labels
    assert details["Config"]["Healthcheck"]["Test"]
    assert details["Config"]["User"] not in ("", "root", "0")


def test_image_has_no_unneeded_packages(image: str) -> None:
    script = """
        for tool in gcc cc g++ make git uv; do command -v $tool; done
        find /app /home -type d '(' -name tests -o -name test ')'
        ls /root/.cache /app/.venv/bin/pip 2>/dev/null; true
    """
    assert docker("run", "--rm", "--user", "root", "--entrypoint", "sh", image, "-c", script) == ""


def packages_inside(image: str) -> set[str]:
    """Packages as name==version."""
    script = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()), sep='\\n')"
    lines = docker("run", "--rm", "--entrypoint", "/app/.venv/bin/python", image, "-c", script).splitlines()
    assert len(lines) > 50
    return {normalized(line) for line in lines}


def normalized(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def test_installed_versions_match_the_lock(image: str) -> None:
    lock = re.findall(
        r"^([A-Za-z0-9._-]+==\S+?)(?: ;.*)? \\$", (PROJECT / "requirements.txt").read_text(), re.MULTILINE
    )
    assert packages_inside(image) <= {normalized(line) for line in lock}


def test_sbom_matches_the_installed_packages(image: str) -> None:
    sbom = docker("run", "--rm", "--entrypoint", "cat", image, "/home/bentoml/bento/src/build/sbom.json")
    components = json.loads(sbom)["components"]
    named = {normalized(f"{component['name']}=={component['version']}") for component in components}
    assert packages_inside(image) <= named


def test_hardened_container_serves_on_the_configured_port(start: Callable[..., Container]) -> None:
    started = time.monotonic()
    container = start()
    eventually(lambda: ready(container), seconds=180, every=0.05)
    print(f"ready {time.monotonic() - started:.1f} s after docker run")
    assert container.client.post("/predict", json=BODY).json()["gesture"] == "like"
    assert docker("exec", container.name, "id", "-u") != "0"
    eventually(lambda: docker("inspect", "--format={{.State.Health.Status}}", container.name) == "healthy", seconds=180)


@pytest.mark.parametrize("settings", [{"PORT": ""}, {"PORT": "", "BENTOML_PORT": 4000}], ids=str)
def test_health_check_uses_the_configured_address(start: Callable[..., Container], settings: dict[str, object]) -> None:
    name = start(**settings).name
    eventually(lambda: docker("inspect", "--format={{.State.Health.Status}}", name) == "healthy", seconds=180)


def in_flight(container: Container) -> float:
    (line,) = (
        line
        for line in container.client.get("/metrics").text.splitlines()
        if line.startswith("hand_gesture_requests_in_flight ")
    )
    return float(line.split()[1])


def test_sigterm_finishes_requests_in_flight_and_exits_0(start: Callable[..., Container]) -> None:
    container = start(WORKERS=2, **GENEROUS_LIMITS)
    eventually(lambda: ready(container), seconds=180)
    statuses = asyncio.run(_stop_in_the_middle(container, requests=16))
    assert statuses == [200] * 16
    assert docker("wait", container.name) == "0"


async def _stop_in_the_middle(container: Container, *, requests: int) -> list[int]:
    """Send half of each request, stop the container, send the rest, and read the responses."""
    url = container.client.base_url
    content = encode_request(url.host, "/predict", json.dumps(BODY).encode())
    connections = [await asyncio.open_connection(url.host, url.port) for _ in range(requests)]
    for _, writer in connections:
        writer.write(content[: len(content) // 2])
    # The service has started to read all of them; connections without data would be closed
    await asyncio.to_thread(eventually, lambda: in_flight(container) == requests, seconds=60)
    docker("kill", "--signal", "TERM", container.name)
    await asyncio.sleep(0.5)
    for _, writer in connections:
        writer.write(content[len(content) // 2 :])
    statuses = [(await read_response(reader))[0] for reader, _ in connections]
    for _, writer in connections:
        writer.close()
    return statuses
