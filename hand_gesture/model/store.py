"""Finds the model to serve in the BentoML model store."""

from __future__ import annotations

from pathlib import Path

import bentoml

from hand_gesture.model.artifacts import ArtifactsError, Manifest, verify_artifacts


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
