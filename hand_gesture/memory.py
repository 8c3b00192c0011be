"""Tunes Python's garbage collector for a server."""

from __future__ import annotations

import gc


def freeze_heap() -> None:
    """Exempt everything alive now from garbage collection, and collect rarely from here on.

    Objects loaded at startup live as long as the process; without this, each full collection traverses them and blocks
    the event loop for 50 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
