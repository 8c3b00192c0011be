"""Makes `bentoml serve --reload` restart the workers after another model was imported.

BentoML's help says that it does, but its reloader watches only source files. tests/service/test_reload.py fails if a
new BentoML or circus changes what is used here.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final

from bentoml.exceptions import BentoMLException
from circus.exc import ConflictError
from tornado.ioloop import PeriodicCallback
from yaml import YAMLError

CHECK_SECONDS: Final = 1.0

# A child of BentoML's logger, whose level and format it inherits
logger = logging.getLogger("bentoml.service.hand_gesture.reloading")


class ModelReloader:
    """Restarts the workers when the model to serve changes."""

    def __init__(self, watcher: Any, find_tag: Callable[[], str], variable: str) -> None:
        """Start with the current model.

        Args:
            watcher: the workers' ``circus.watcher.Watcher``.
            find_tag: returns the tag of the model to serve; raises ``BentoMLException`` if there is none.
            variable: environment variable that passes the tag to the workers.
        """
        self._watcher = watcher
        self._find_tag = find_tag
        self._variable = variable
        self._tag = find_tag()

    def start(self) -> None:
        """Check for a new model every ``CHECK_SECONDS``."""
        PeriodicCallback(self._check, 1000 * CHECK_SECONDS).start()

    def _check(self) -> None:
        # While an import writes the store, or circus runs another command, try again at the next check
        with contextlib.suppress(BentoMLException, YAMLError, ConflictError):
            tag = self._find_tag()
            if tag != self._tag:
                self._watcher.env[self._variable] = tag
                self._watcher.restart()
                self._tag = tag
                logger.info("%s was imported; restarting the workers with it", tag)
