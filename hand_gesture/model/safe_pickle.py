"""Unpickles classifiers and nothing else.

A pickle is a program: it may call whatever it can import. This unpickler lets it import an allow-list only: classes of
scikit-learn and XGBoost, and what numpy and scipy need to rebuild arrays and random generators. What it calls may make
no more than the file holds.
"""

from __future__ import annotations

import importlib
import pickle
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.random._pickle
from joblib.numpy_pickle import NumpyUnpickler
from sklearn.exceptions import InconsistentVersionWarning

MAX_FILE_BYTES: Final = 500_000_000
_LIBRARIES: Final = frozenset({"sklearn", "xgboost"})
_NUMPY_MODULES: Final = ("numpy.core", "numpy._core")  # the name before and since numpy 2
_PLAIN: Final = frozenset(
    {
        *(("builtins", name) for name in ("bytearray", "dict", "frozenset", "list", "set", "slice", "tuple")),
        *((f"{module}.multiarray", "scalar") for module in _NUMPY_MODULES),
        *((f"{module}.numeric", "_frombuffer") for module in _NUMPY_MODULES),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        *(("numpy", name) for name in ("float64", "float32", "int64", "int32", "intp", "bool_")),
        ("numpy.random._pickle", "__bit_generator_ctor"),
        ("numpy.random._mt19937", "MT19937"),
        ("numpy.random._pcg64", "PCG64"),
        ("numpy.random.bit_generator", "SeedSequence"),
        ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"),
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        ("scipy.sparse._csr", "csr_matrix"),
        ("scipy.sparse._csr", "csr_array"),
        ("joblib.numpy_pickle", "NumpyArrayWrapper"),
    }
)
_CONTAINERS: Final = frozenset({bytearray, dict, frozenset, list, set, tuple})
_SPELLED_OUT: Final = frozenset({bytes, list, str})  # in the file, every item of it


class UnsafePickleError(ValueError):
    """The pickle asks for something that no classifier needs, or is no pickle at all."""


def _reconstruct(subtype: type, shape: tuple[int, ...], _kind: bytes) -> Any:
    """Numpy's own helper with the only arguments that numpy itself writes: an empty array, filled later."""
    if subtype is not np.ndarray or shape != (0,):
        raise UnsafePickleError("it builds an array in a way that numpy does not")
    return np.empty(0, dtype=np.int8)


def _random_state(bit_generator: Any) -> Any:
    """Numpy's own helper without the constructor that it would call, whatever that is."""
    return numpy.random._pickle.__randomstate_ctor(bit_generator)


def _generator(bit_generator: Any) -> Any:
    """The same for numpy's newer generators."""
    return numpy.random._pickle.__generator_ctor(bit_generator)


_SUBSTITUTES: Final = {
    **{(f"{module}.multiarray", "_reconstruct"): _reconstruct for module in _NUMPY_MODULES},
    ("numpy.random._pickle", "__randomstate_ctor"): _random_state,
    ("numpy.random._pickle", "__generator_ctor"): _generator,
}


def _check_call(function: Any, arguments: tuple[Any, ...]) -> None:
    """Refuse calls that make more than the file holds, such as ``bytearray(10**12)``; pickle itself writes none."""
    if function is np.ndarray or (function in _CONTAINERS and not {*map(type, arguments)} <= _SPELLED_OUT):
        raise UnsafePickleError(f"it makes a {function.__name__} in a way that no classifier needs")


class _RestrictedUnpickler(NumpyUnpickler):  # type: ignore[misc]
    """joblib's unpickler, which reads plain pickles and joblib's own files, with an allow-list."""

    dispatch = NumpyUnpickler.dispatch.copy()

    def load_reduce(self) -> None:
        _check_call(*self.stack[-2:])
        super().load_reduce()

    dispatch[pickle.REDUCE[0]] = load_reduce

    def load_newobj(self) -> None:
        _check_call(*self.stack[-2:])
        super().load_newobj()

    dispatch[pickle.NEWOBJ[0]] = load_newobj

    def load_newobj_ex(self) -> None:
        _check_call(*self.stack[-3:-1])
        super().load_newobj_ex()

    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex

    def _instantiate(self, klass: Any, args: tuple[Any, ...]) -> None:  # the oldest protocols' calls
        _check_call(klass, args)
        super()._instantiate(klass, args)

    def find_class(self, module: str, name: str) -> Any:
        if substitute := _SUBSTITUTES.get((module, name)):
            return substitute
        if (module, name) in _PLAIN or _is_of_library(module, name):
            return super().find_class(module, name)
        raise UnsafePickleError(f"it asks for {module}.{name}, which no classifier needs")


def _is_of_library(module: str, name: str) -> bool:
    """Whether it is a class of a library, or what Cython makes to rebuild one: a function that makes it, empty."""
    library = module.partition(".")[0]
    if library not in _LIBRARIES or "." in name:
        return False
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        raise UnsafePickleError(f"it needs {module}, which is not installed") from None
    is_class = isinstance(found, type) and found.__module__.partition(".")[0] == library
    return is_class or (found is not None and name.startswith("__pyx_unpickle_"))


def load(path: Path) -> Any:
    """Unpickle a classifier or an encoder that ``pickle`` or ``joblib`` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        UnsafePickleError: it is not a pickle, asks for something that is not on the allow-list, or was written by
            another version of scikit-learn; the message says which, as the end of a sentence.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise UnsafePickleError(f"it is larger than {MAX_FILE_BYTES // 1_000_000} MB")
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("error", InconsistentVersionWarning)
        try:
            return _RestrictedUnpickler(str(path), file, ensure_native_byte_order=True).load()
        except UnsafePickleError:
            raise
        except InconsistentVersionWarning as warning:
            raise UnsafePickleError(
                f"it was written by scikit-learn {warning.original_sklearn_version}, "
                f"but {warning.current_sklearn_version} is installed"
            ) from None
        except MemoryError:
            raise UnsafePickleError("it asks for more memory than there is") from None
        except Exception as error:  # a hostile stream can make the unpickler fail in any way
            raise UnsafePickleError(f"it cannot be read as a pickle ({type(error).__name__}: {error})") from None
