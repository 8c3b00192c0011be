"""An incomplete model store is read again a moment later."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from bentoml.exceptions import BentoMLException, NotFound
from circus.exc import ConflictError
from yaml.scanner import ScannerError

from hand_gesture.bento.reloading import ModelReloader


@pytest.mark.parametrize(
    "error", [NotFound("none"), BentoMLException("malformed model.yaml"), ScannerError()], ids=repr
)
def test_incomplete_model_store_is_read_at_the_next_check(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="bentoml.service.hand_gesture.reloading")
    tags: Iterator[str | Exception] = iter(["model:1", error, "model:2", "model:2"])
    restarts = list[str]()

    def find_tag() -> str:
        tag = next(tags)
        if isinstance(tag, Exception):
            raise tag
        return tag

    env = dict[str, str]()
    watcher = SimpleNamespace(env=env, restart=lambda: restarts.append(env["TAG"]))
    reloader = ModelReloader(watcher, find_tag, "TAG")
    for _ in range(3):
        reloader._check()
    assert restarts == ["model:2"]
    assert caplog.messages == ["model:2 was imported; restarting the workers with it"]


def test_a_restart_that_circus_rejects_is_retried() -> None:
    busy = [ConflictError("busy")]
    restarts = list[str]()

    def restart() -> None:
        if busy:
            raise busy.pop()
        restarts.append("restarted")

    tags = iter(["model:1"])
    reloader = ModelReloader(SimpleNamespace(env={}, restart=restart), lambda: next(tags, "model:2"), "TAG")
    for _ in range(3):
        reloader._check()
    assert restarts == ["restarted"]
