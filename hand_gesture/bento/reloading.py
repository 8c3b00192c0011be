"""Lets `bentoml serve --reload` serve a model that is imported meanwhile.

BentoML's help promises that, but its reloader only watches source files. tests/service/test_reload.py fails where a new
BentoML or circus changes what is used here.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final

from bentoml.exceptions import NotFound
from circus.exc import ConflictError
from tornado.ioloop import PeriodicCallback

CHECK_SECONDS: Final = 1.0

# BentoML shows what its own loggers say
logger = logging.getLogger("bentoml.service.hand_gesture.reloading")


class ModelReloader:
    """Restarts a service's workers when another model is to be served."""

    def __init__(self, watcher: Any, find_tag: Callable[[], str], variable: str) -> None:
        """Remember what is served now.

        Args:
            watcher: circus' watcher of the workers.
            find_tag: the tag of the model to serve; raises ``NotFound`` where there is none.
            variable: the environment variable that tells workers the tag.
        """
        self._watcher = watcher
        self._find_tag = find_tag
        self._variable = variable
        self._tag = find_tag()

    def start(self) -> None:
        """Look for another model every ``CHECK_SECONDS`` from now on."""
        PeriodicCallback(self._check, 1000 * CHECK_SECONDS).start()

    def _check(self) -> None:
        # No model: somebody deletes it to import another one. A conflict: the supervisor is busy, and next time is soon
        with contextlib.suppress(NotFound, ConflictError):
            tag = self._find_tag()
            if tag != self._tag:
                self._watcher.env[self._variable] = tag
                self._watcher.restart()
                self._tag = tag
                logger.info("%s was imported; the workers are restarted with it", tag)
