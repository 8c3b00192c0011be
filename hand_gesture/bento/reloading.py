"""Makes `bentoml serve --reload` restart the workers when another model has been imported.

BentoML's help says so, but its reloader watches source files only. tests/service/test_reload.py fails if a new BentoML
or circus changes what is used here.
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
    """Restarts a service's workers when another model is to be served."""

    def __init__(self, watcher: Any, find_tag: Callable[[], str], variable: str) -> None:
        """Remember the model that is served now.

        Args:
            watcher: circus' watcher of the workers.
            find_tag: returns the tag of the model to serve; raises ``BentoMLException`` if there is none.
            variable: environment variable that passes the tag to the workers.
        """
        self._watcher = watcher
        self._find_tag = find_tag
        self._variable = variable
        self._tag = find_tag()

    def start(self) -> None:
        """Check for another model every ``CHECK_SECONDS``."""
        PeriodicCallback(self._check, 1000 * CHECK_SECONDS).start()

    def _check(self) -> None:
        # An import is writing the store, or circus is busy: the next check is soon
        with contextlib.suppress(BentoMLException, YAMLError, ConflictError):
            tag = self._find_tag()
            if tag != self._tag:
                self._watcher.env[self._variable] = tag
                self._watcher.restart()
                self._tag = tag
                logger.info("%s was imported; restarting the workers with it", tag)
