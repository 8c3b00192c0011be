"""Finds the model to serve in the BentoML model store."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import bentoml
import yaml

from hand_gesture.model.artifacts import ArtifactsError, Manifest, verify_artifacts

LATEST: Final = "hand_gesture:latest"


def default_tag(project: Path) -> str:
    """Return the tag of the model that a Bento was built with, or of the latest model outside of a Bento.

    A Bento has its project's files in ``src``, beside a ``bento.yaml`` with the models' tags; BentoML does not apply
    them when it serves the Bento.
    """
    description = project.parent / "bento.yaml"
    if not description.exists():
        return LATEST
    (service,) = yaml.safe_load(description.read_text())["services"]
    (model,) = service["models"]
    tag: str = model["tag"]
    return tag


def find_model(tag: str) -> tuple[bentoml.Model, Manifest]:
    """Find a model and verify its files, without loading it.

    Raises:
        SystemExit: the model does not exist or its files are damaged; the message says what to do.
    """
    try:
        model = bentoml.models.get(tag)
        manifest, _ = verify_artifacts(Path(model.path), expected_version=model.tag.version)
        _ = manifest.described_features  # raises if the features are unknown
    except bentoml.exceptions.NotFound:
        raise SystemExit(
            f"There is no model {tag} in the BentoML model store; run `.venv/bin/python import_model.py` first."
        ) from None
    except ArtifactsError as error:
        raise SystemExit(str(error)) from None
    return model, manifest
