"""Recognizes the format of a model file by its first bytes, and decompresses it."""

from __future__ import annotations

import bz2
import json
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Final

SAMPLE: Final = 4096  # bytes that identify the format
OWN: Final = "only scikit-learn and XGBoost classifiers are supported"
_TRAIN: Final = f"{OWN}: train one on the same landmarks"

_STARTS: Final = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself: run `git lfs pull` in its repository"),
    (b"\x89HDF", f"a Keras model (HDF5); {_TRAIN}"),
    (b"CBM1", f"a CatBoost model; {_TRAIN}"),
    (b"tree\nversion=", f"a LightGBM model; {_TRAIN}"),
    (b"\x93NUMPY", "a NumPy array, not a model"),
    (b"%PDF", "a PDF document, not a model"),
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", f"a PyTorch model; {_TRAIN}"),
    (b"\x04\x22\x4d\x18", "compressed with LZ4: save it again with joblib.dump(model, path, compress=3)"),
)
_INSIDE_ZIP: Final = (
    (b"data.pkl", f"a PyTorch model; {_TRAIN}"),
    (b"schema.json", "a skops file: load it with skops and save it with joblib.dump"),
    (b"config.json", f"a Keras model; {_TRAIN}"),
    (b".tflite", f"a MediaPipe task; {_TRAIN}"),
)


_DAMAGED: Final = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)
_SLICE: Final = 4096  # compressed bytes, which decompress to less than 100 MB at most


class UnsupportedFormatError(ValueError):
    """The format is not supported; the message is the end of a sentence that says what it is and what to do."""


def check_format(content: bytes, name: str) -> None:
    """Reject formats other than pickle and XGBoost's JSON.

    Raises:
        UnsupportedFormatError: the file has another format.
    """
    head = content[:SAMPLE]
    if not content:
        raise UnsupportedFormatError("is empty")
    for start, what in _STARTS:
        if head.startswith(start):
            raise UnsupportedFormatError(f"is {what}")
    if head.startswith(b"PK\x03\x04"):
        what = next((what for entry, what in _INSIDE_ZIP if entry in content), "a zip archive: unpack it first")
        raise UnsupportedFormatError(f"is {what}")
    if head[4:8] == b"TFL3":
        raise UnsupportedFormatError(f"is a TensorFlow Lite model; {_TRAIN}")
    if name.endswith(".onnx") or (head[:1] == b"\x08" and (b"onnx" in head.lower() or b"pytorch" in head.lower())):
        raise UnsupportedFormatError(f"is an ONNX model; {_TRAIN}")
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html")):
        raise UnsupportedFormatError("is a web page (HTML), not the file itself: download the raw file")
    if text.startswith(b"<"):
        raise UnsupportedFormatError(f"is XML, such as PMML; {OWN}, as pickles")
    if text.startswith(b"{") and not is_xgboost_json(content):
        raise UnsupportedFormatError(_explain_json(content))


def is_xgboost_json(content: bytes) -> bool:
    """Whether XGBoost's ``save_model`` wrote the file, as JSON or UBJSON."""
    return content.lstrip()[:1] == b"{" and b"learner" in content and b"gradient_booster" in content


def _explain_json(content: bytes) -> str:
    try:
        keys = json.loads(content)
    except ValueError:
        return "is not valid JSON"
    if isinstance(keys, dict) and ("modelTopology" in keys or keys.get("format") == "layers-model"):
        return f"is a TensorFlow.js model; {_TRAIN}"
    return f"is JSON, but not an XGBoost model; {OWN}"


def mentions(content: bytes, word: bytes, limit: int) -> bool:
    """Whether a word occurs in the first ``limit`` bytes of a file after decompression.

    Needs little memory for any file, so it is safe to call before memory is limited.
    """
    decompressor = _decompressor(content)
    if decompressor is None:
        return word in content
    tail, size = b"", 0
    for start in range(0, len(content), _SLICE):
        try:
            part = decompressor.decompress(content[start : start + _SLICE])
        except _DAMAGED:
            return False
        if word in tail + part:
            return True
        tail, size = (tail + part)[-len(word) :], size + len(part)
        if size > limit or decompressor.eof:
            return False
    return False


def _decompressor(content: bytes) -> Any:
    """A decompressor for a file that joblib compressed; None for other files."""
    openers: dict[bytes, Callable[[], Any]] = {
        b"\x1f\x8b": lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 16),
        b"BZh": bz2.BZ2Decompressor,
        b"\xfd7zXZ": lzma.LZMADecompressor,
        b"\x5d\x00\x00": lzma.LZMADecompressor,
        **{b"\x78" + level: zlib.decompressobj for level in (b"\x01", b"\x5e", b"\x9c", b"\xda")},
    }
    return next((make() for start, make in openers.items() if content.startswith(start)), None)


def decompress(content: bytes, limit: int) -> bytes:
    """Decompress a file that joblib compressed; other content is returned unchanged.

    Raises:
        UnsupportedFormatError: the file is damaged, or larger than ``limit`` bytes when decompressed.
    """
    decompressor = _decompressor(content)
    if decompressor is None:
        return content
    try:
        decompressed: bytes = decompressor.decompress(content, limit + 1)
    except _DAMAGED:
        raise UnsupportedFormatError("is compressed, but damaged") from None
    if len(decompressed) > limit:
        raise UnsupportedFormatError(f"is larger than {limit // 1_000_000} MB when decompressed")
    if not decompressor.eof:
        raise UnsupportedFormatError("is compressed, but truncated")
    return decompressed
