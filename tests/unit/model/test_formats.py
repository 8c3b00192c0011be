from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import joblib
import pytest

from hand_gesture.model.formats import UnsupportedFormatError, check_format, decompress, mentions


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "content")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "model.pkl", "Git LFS pointer"),
        (b"\n<!DOCTYPE html><html>", "model.pkl", "web page"),
        (b"\x89HDF\r\n\x1a\n", "model.h5", "Keras"),
        (zipped("config.json"), "model.keras", "Keras"),
        (zipped("archive/data.pkl"), "model.pt", "PyTorch"),
        (b"\x1c\0\0\0TFL3", "model.tflite", "TensorFlow Lite"),
        (b"\x08\x08\x12\x07pytorch", "model", "ONNX"),
        (b"tree\nversion=v4\n", "model.txt", "LightGBM"),
        (json.dumps({"modelTopology": {}}).encode(), "model.json", "TensorFlow.js"),
        (b'{"a": 1}', "model.json", "not an XGBoost model"),
        (b"{", "model.json", "not valid JSON"),
        (b"", "model.pkl", "empty"),
    ],
)
def test_unsupported_formats_are_recognized(content: bytes, name: str, message: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=message):
        check_format(content, name)


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_are_accepted(protocol: int) -> None:
    check_format(pickle.dumps({"model": 1.5}, protocol), "model.pkl")


@pytest.mark.parametrize("method", ["zlib", "gzip", "bz2", "xz", "lzma"])
def test_joblib_files_are_decompressed(tmp_path: Path, method: str) -> None:
    joblib.dump(list(range(1000)), tmp_path / "model.pkl", compress=(method, 3))
    content = (tmp_path / "model.pkl").read_bytes()
    assert pickle.loads(decompress(content, 10**6)) == list(range(1000))  # noqa: S301 (created above)
    with pytest.raises(UnsupportedFormatError, match="larger than 0 MB"):
        decompress(content, 100)
    with pytest.raises(UnsupportedFormatError, match=r"damaged|truncated"):
        decompress(content[:20] + b"\xff" * 50, 10**6)


@pytest.mark.parametrize("method", ["zlib", "gzip", "bz2", "xz", "lzma"])
def test_words_are_found_in_compressed_files(tmp_path: Path, method: str) -> None:
    joblib.dump([*range(5000), "of xgboost"], tmp_path / "model.pkl", compress=(method, 3))
    content = (tmp_path / "model.pkl").read_bytes()
    assert mentions(content, b"xgboost", 10**9)
    assert not mentions(content, b"lightgbm", 10**9)
    assert not mentions(content[:20] + b"\xff" * 50, b"xgboost", 10**9)
