from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from hand_gesture.memory import freeze_heap


@pytest.fixture
def _collector() -> Iterator[None]:
    """The garbage collector, which does not run by itself, and is as before after the test."""
    thresholds = gc.get_threshold()
    gc.disable()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    gc.enable()


class Node:
    """Part of a reference cycle."""

    def __init__(self) -> None:
        self.itself = self


@pytest.mark.usefixtures("_collector")
def test_what_is_alive_is_exempt_from_collection_and_garbage_is_not() -> None:
    garbage = weakref.ref(Node())
    alive = Node()
    freeze_heap()
    assert garbage() is None
    assert gc.get_freeze_count() > 10_000
    assert alive not in gc.get_objects()
    assert gc.get_threshold() == (50_000, 50, 50)
