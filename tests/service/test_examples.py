from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from tests.hands import IMAGE_SIZE, LIKE, REFERENCE, as_objects
from tests.server import PROJECT, Server


def run(*command: str, stdin: str | None = None) -> str:
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, input=stdin, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(server: Server) -> None:
    assert json.loads(run("sh", "examples/curl.sh", "rock", server.url))["gesture"] == "rock"


def test_python_client(server: Server) -> None:
    lines = run(sys.executable, "examples/python_client.py", server.url).splitlines()
    assert lines[0].startswith("sync: {'gesture': 'like'")
    assert lines[1] == "batch: ['fist', 'palm']"
    assert lines[2] == f"async: {[*REFERENCE.hands]}"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_browser_function(server: Server) -> None:
    """The function that the page uses, in a JavaScript engine with the same fetch."""
    script = f"""
        import {{ classify }} from "{(PROJECT / "examples" / "classify.js").as_uri()}";
        const hand = {json.dumps(as_objects(LIKE))};
        console.log((await classify("{server.url}", hand, {json.dumps(IMAGE_SIZE)})).gesture);
        await classify("{server.url}", hand.slice(1), null).catch((error) => console.log(error.message));
    """
    lines = run("node", "--input-type=module", "-", stdin=script).splitlines()
    assert lines[0] == "like"
    assert lines[1].startswith("Landmark 20 PINKY_TIP has no finite")
