"""Leaves out of the start what scikit-learn imports on the way and classifiers hardly ever call."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any


class _Promise(ModuleType):
    """Stands for a module of functions, and imports it when one of them is called."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return getattr(importlib.import_module(self.__name__), name)(*args, **kwargs)

        return call


@contextlib.contextmanager
def deferred(module: str) -> Iterator[None]:
    """Whoever imports the module or its functions within this context gets promises of them.

    Afterwards an import is an import again, and promised functions work like the real ones. Promised classes do not.
    """
    if module in sys.modules:
        yield
        return
    sys.modules[module] = _Promise(module)
    try:
        yield
    finally:
        del sys.modules[module]
