from __future__ import annotations

import resource

import pytest


@pytest.fixture(scope="session", autouse=True)
def _many_connections() -> None:
    """Raise the limit of open files, 1024 in many shells, because these tests open up to 10,000 connections."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
