from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from hand_gesture.settings import Settings
from tests.fuzz.effort import TIMES
from tests.server import Server, import_model, serve

# No deadline or health check, which depend on the load of the machine. `make test` generates the same examples each
# time, so that results are reproducible; `make fuzz` generates new ones.
settings.register_profile(
    "reproducible",
    max_examples=settings().max_examples * (TIMES or 1),
    deadline=None,
    derandomize=not TIMES,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("reproducible")


@pytest.fixture(scope="session", autouse=True)
def _environment() -> Iterator[None]:
    """Hide variables of the developer's shell that change how the service and other programs run."""
    settings_of_service = [name.upper() for name in Settings.model_fields]
    with pytest.MonkeyPatch.context() as patch:
        for name in (*settings_of_service, "FORCE_COLOR", "COLUMNS", "PYTHONDEVMODE", "PYTHONWARNINGS"):
            patch.delenv(name, raising=False)
        patch.setenv("no_proxy", "localhost,127.0.0.1")  # http_proxy cannot reach the service
        yield


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model store with the bundled model."""
    folder = tmp_path_factory.mktemp("bentoml")
    result = import_model(folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[Server]:
    """The service with one worker."""
    with serve(home) as running:
        yield running


@pytest.fixture
def own_home(home: Path, tmp_path: Path) -> Path:
    """A model store for a test that modifies it."""
    return Path(shutil.copytree(home / "models", tmp_path / "bentoml" / "models")).parent
