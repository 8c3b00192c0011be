from __future__ import annotations

import pytest

from hand_gesture.model import sandbox
from hand_gesture.model.inspection import InspectionError, ModelFile, Options, Reference

LIMIT = 2_000_000
SMALL = ModelFile("small.pkl", b"no pickle")
REFERENCE = Reference(image_size=(1, 1), gestures=[], hands=[])


@pytest.mark.parametrize("role", ["model", "encoder", "scaler"])
def test_files_above_the_limit_are_rejected_unread(monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    """A file takes several times its size in memory while it is read."""
    monkeypatch.setattr(sandbox, "MAX_FILE_BYTES", LIMIT)
    files = {role: ModelFile("large.pkl", bytes(LIMIT + 1))}
    with pytest.raises(InspectionError, match=r"^large\.pkl is larger than 2 MB\.$"):
        sandbox.inspect_in_sandbox(
            files.get("model", SMALL), files.get("encoder"), files.get("scaler"), Options(), REFERENCE
        )


def test_a_file_of_the_largest_size_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "MAX_FILE_BYTES", LIMIT)
    with pytest.raises(InspectionError, match="cannot be read as a pickle"):
        sandbox.inspect_in_sandbox(
            ModelFile("largest.pkl", b"no pickle".ljust(LIMIT)), None, None, Options(), REFERENCE
        )
