"""Packages import only lower layers, and only one imports BentoML's internals."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import PROJECT

PACKAGE = PROJECT / "hand_gesture"
MAY_IMPORT = {
    "landmarks": set[str](),
    "errors": set[str](),
    "settings": set[str](),
    "memory": set[str](),
    "frame_clock": set[str](),
    "debounce": set[str](),
    "tracking": {"landmarks"},
    "model": {"landmarks"},
    "telemetry": {"errors", "model"},
    "bento": set[str](),
    "web": {
        *("landmarks", "errors", "settings", "frame_clock", "debounce", "tracking"),
        *("model", "telemetry", "bento"),
    },
}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_package_imports_only_lower_layers(path: Path) -> None:
    room = room_of(path)
    rooms = {name.split(".")[1] for name in imports(path) if name.startswith("hand_gesture.")}
    assert rooms <= MAY_IMPORT[room] | {room}


def test_only_bento_imports_bentoml_internals() -> None:
    inside = {room_of(path) for path in MODULES if any("bentoml._" in f"{name}." for name in imports(path))}
    reaching = {name.split(".")[0] for path in MODULES for name in imports(path) if name.startswith("_bentoml")}
    assert (inside, reaching) == ({"bento"}, set())


def test_unit_tests_mirror_the_packages() -> None:
    folder = Path(__file__).parent
    rooms = {path.name for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms <= MAY_IMPORT.keys()
    for path in folder.glob("*/test_*.py"):
        module = path.name.removeprefix("test_")
        assert (PACKAGE / path.parent.name / module).exists(), f"{path} tests a module that is not there"
