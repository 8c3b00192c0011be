"""The documents match the service, and their commands run as written."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hand_gesture.settings import Settings
from tests.own_gestures import gestures
from tests.server import PROJECT, Server, environment

README = (PROJECT / "README.md").read_text()
REFERENCE = (PROJECT / "docs" / "reference.md").read_text()
DOCUMENTS = [PROJECT / name for name in ("README.md", "CONTRIBUTING.md")] + sorted((PROJECT / "docs").glob("*.md"))
MAX_README_LINES = 150
MAX_README_WORDS = 1200

# Commands that need Docker, a cluster, a registry, the network, or many minutes
RUN_BY = {
    "make image": "tests/containers/conftest.py",
    "make up": "tests/containers/test_stack.py",
    "make up-swarm": "tests/containers/swarm/conftest.py",
    "make train": "tests/training/test_own.py",
}
NOT_RUN = (
    *("docker ", "git clone ", "cd hand-gesture", "IMAGE=", "kubectl ", "${EDITOR"),
    *("make serve", "make test", "make lint", "make bench", "make fuzz", "make mutate"),
    ".venv/bin/python -m bench.",
    ".venv/bin/python -m training.",
)


def commands() -> list[tuple[str, str]]:
    """Every command of the documents' sh blocks, with the name of its document."""
    found = []
    for document in DOCUMENTS:
        for block in re.findall(r"^ *```sh\n(.*?)^ *```", document.read_text(), re.MULTILINE | re.DOTALL):
            joined = re.sub(r"'[^']*'", lambda quoted: quoted[0].replace("\n", " "), block).replace("\\\n", " ")
            for line in joined.splitlines():
                steps = line.split("  #")[0].split(" && ")
                found += [(document.name, step.strip()) for step in steps if step.strip()]
    return found


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    """A copy of the project with a model store and the files that the documents mention."""
    folder = tmp_path_factory.mktemp("clone") / "project"
    ignored = shutil.ignore_patterns(".git", ".venv", "node_modules", "build", "mutants", "__pycache__", ".*_cache")
    shutil.copytree(PROJECT, folder, ignore=ignored)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    shutil.copy(folder / "artifacts" / "model.pkl", folder / "model.pkl")
    shutil.copy(folder / "artifacts" / "encoder.pkl", folder / "encoder.pkl")
    shutil.copy(folder / "artifacts" / "commands.json", folder / "my_commands.json")
    (folder / "my_gestures.json").write_text(json.dumps(gestures("L", "pinky")))
    shutil.copytree(home, folder.parent / "bentoml")
    return folder


@pytest.mark.parametrize(("document", "command"), commands())
def test_command_works(document: str, command: str, clone: Path, server: Server) -> None:
    del document  # in the test's name
    if command.startswith(NOT_RUN):
        return
    for prefix, where in RUN_BY.items():
        if command.startswith(prefix):
            assert (PROJECT / where).exists()
            return
    result = subprocess.run(
        ["sh", "-ec", command.replace("localhost:3000", server.url.partition("//")[2])],
        cwd=clone,
        env=environment(clone.parent / "bentoml") | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_documented_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    shown = {command.split()[1] for _, command in commands() if command.startswith("make ")}
    for document in DOCUMENTS:
        shown.update(re.findall(r"`make ([a-z-]+)", document.read_text()))
    assert shown <= targets


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= MAX_README_LINES
    assert len(README.split()) <= MAX_README_WORDS


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.name))
def test_links_are_valid(document: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_documented_request_gets_the_documented_response(server: Server) -> None:
    request = re.search(r"curl .*? --data '(.*?)'", README, re.DOTALL)
    reply = re.search(r"```json\n(.*?)\n```", README)
    assert request
    assert reply
    assert server.client.post("/predict", json=json.loads(request[1])).json() == json.loads(reply[1])


def test_settings_table_is_complete() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (\S*) ?\|", REFERENCE, re.MULTILINE))
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else field.default
        default = ",".join(default) if isinstance(default, list) else f"{default}"
        assert rows[name.upper()].strip("`").removesuffix(".0") == default.removesuffix(".0")
    assert len(rows) == len(Settings.model_fields)


def test_every_metric_is_documented(server: Server) -> None:
    families = re.findall(r"^# TYPE (\S+)", server.client.get("/metrics").text, re.MULTILINE)
    assert families
    assert [family for family in families if family not in REFERENCE] == []
