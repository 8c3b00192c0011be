from __future__ import annotations

import io
import json
import pickle
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import joblib
import pytest

from hand_gesture.model.formats import UnsupportedFormatError, check_format, decompress, is_xgboost_json, mentions


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
        (b"<HTML><head>", "model.pkl", "web page"),
        (b'<?xml version="1.0"?><PMML>', "model.pmml", "XML, such as PMML"),
        (b"\x89HDF\r\n\x1a\n", "model.h5", "Keras"),
        (zipped("config.json"), "model.keras", "Keras"),
        (zipped("archive/data.pkl"), "model.pt", "PyTorch"),
        (zipped("notes.txt"), "model.zip", "a zip archive: unpack it first"),
        (b"\x1c\0\0\0TFL3\x14\0", "model.tflite", "TensorFlow Lite"),
        (b"\x08\x08\x12\x07pytorch", "model", "ONNX"),
        (b"\x08\x07\x12\x08skl2ONNX", "model", "ONNX"),
        (b"\x08\x07", "model.onnx", "ONNX"),
        (b"tree\nversion=v4\n", "model.txt", "LightGBM"),
        (json.dumps({"modelTopology": {}}).encode(), "model.json", "TensorFlow.js"),
        (json.dumps({"format": "layers-model"}).encode(), "model.json", "TensorFlow.js"),
        (json.dumps({"learner": {}}).encode(), "model.json", "not an XGBoost model"),
        (json.dumps({"gradient_booster": {}}).encode(), "model.json", "not an XGBoost model"),
        (b'{"a": 1}', "model.json", "not an XGBoost model"),
        (b"{", "model.json", "not valid JSON"),
        (b"", "model.pkl", "empty"),
    ],
)
def test_unsupported_formats_are_recognized(content: bytes, name: str, message: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=f"^is .*{message}"):
        check_format(content, name)


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_are_accepted(protocol: int) -> None:
    check_format(pickle.dumps({"model": 1.5, "from": "pytorch", "to": "onnx"}, protocol), "model.pkl")


def test_models_of_xgboost_are_accepted() -> None:
    content = b' {"learner": {"gradient_booster": {}}}'
    check_format(content, "model.json")
    assert is_xgboost_json(content)
    assert not is_xgboost_json(b"[" + content + b"]")


@pytest.mark.parametrize("method", ["zlib", "gzip", "bz2", "xz", "lzma"])
def test_joblib_files_are_decompressed(tmp_path: Path, method: str) -> None:
    joblib.dump(list(range(1000)), tmp_path / "model.pkl", compress=(method, 3))
    content = (tmp_path / "model.pkl").read_bytes()
    assert pickle.loads(decompress(content, 10**6)) == list(range(1000))  # noqa: S301 (created above)
    size = len(pickle.dumps(list(range(1000))))
    with pytest.raises(UnsupportedFormatError, match=r"^is larger than 0 MB when decompressed$"):
        decompress(content, size - 100)
    with pytest.raises(UnsupportedFormatError, match=r"^is compressed, but (damaged|truncated)$"):
        decompress(content[:20] + b"\xff" * 50, 10**6)
    with pytest.raises(UnsupportedFormatError, match=r"^is compressed, but truncated$"):
        decompress(content[:-20], 10**6)


def test_files_as_large_as_the_limit_are_decompressed() -> None:
    assert decompress(zlib.compress(bytes(1000)), 1000) == bytes(1000)
    with pytest.raises(UnsupportedFormatError, match="larger"):
        decompress(zlib.compress(bytes(1001)), 1000)


@pytest.mark.parametrize("level", range(10))
def test_every_level_of_compression_is_recognized(level: int) -> None:
    assert decompress(zlib.compress(b"content", level), 100) == b"content"


def test_files_that_are_not_compressed_are_unchanged() -> None:
    assert decompress(b"content", 1) == b"content"


def test_larger_files_are_decompressed_to_the_limit_only() -> None:
    content = zlib.compress(bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(UnsupportedFormatError, match="larger"):
            decompress(content, 1000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.parametrize("method", ["zlib", "gzip", "bz2", "xz", "lzma"])
def test_words_are_found_in_compressed_files(tmp_path: Path, method: str) -> None:
    joblib.dump([*range(5000), "of xgboost"], tmp_path / "model.pkl", compress=(method, 3))
    content = (tmp_path / "model.pkl").read_bytes()
    assert mentions(content, b"xgboost", 10**9)
    assert not mentions(content, b"lightgbm", 10**9)
    assert not mentions(content[:-20], b"lightgbm", 10**9)
    assert not mentions(content[:20] + b"\xff" * 50, b"xgboost", 10**9)


def test_words_are_found_in_files_that_are_not_compressed() -> None:
    content = pickle.dumps("of xgboost")
    assert mentions(content, b"xgboost", 10**9)
    assert not mentions(content, b"lightgbm", 10**9)


def test_words_are_found_at_every_position_up_to_the_limit() -> None:
    for before in range(4070, 4110):  # the file is decompressed in parts of 4096 bytes
        content = zlib.compress(bytes(before) + b"xgboost" + bytes(10_000), level=0)
        assert mentions(content, b"xgboost", 10**9)
    content = zlib.compress(bytes(100_000) + b"xgboost" + bytes(100_000), level=0)
    assert mentions(content, b"xgboost", 100_007)
    assert not mentions(content, b"xgboost", 50_000)
