"""Loads pickle and joblib files without executing code from them.

A pickle can import and call anything. This unpickler imports only allowlisted classes, calls no constructors, and
builds arrays itself from the bytes in the file. Any other global in the pickle becomes a ``Placeholder``, so that files
may contain unsupported objects that the model does not need.
"""

from __future__ import annotations

import importlib
import math
import pickle
import re
from collections.abc import Callable, Mapping
from io import BytesIO
from types import MappingProxyType
from typing import Any, Final, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

MAX_DEPTH: Final = 100  # of nested pickles; joblib nests one level
_NUMPY: Final = ("numpy.core", "numpy._core")  # before and since NumPy 2
_DTYPE: Final = re.compile(r"[<=|]?(b1|[iu][1248]|f[248]|c8|c16|O8?|[US]\d{1,5}|V\d{1,4})")


class UnsafePickleError(ValueError):
    """The pickle is unsafe or damaged; the message is the end of a sentence that says why."""


class Placeholder:
    """Stands for an object whose class is not allowlisted; keeps its name and state, but does nothing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: object = None


class _Structure:
    """A structured dtype that is still being built."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.dtype: np.dtype[Any] | None = None


class _JoblibArray:
    """Replaces joblib's ``NumpyArrayWrapper``: metadata of an array whose bytes follow in the file."""


def _refuse(what: str) -> NoReturn:
    raise UnsafePickleError(what)


# --- Safe replacements of the functions that pickles call. None allocates more memory than the file has bytes.


def _make_dtype(code: str, _align: object = False, _copy: object = False) -> np.dtype[Any] | _Structure:
    if type(code) is not str or not _DTYPE.fullmatch(code):
        _refuse(f"it has an array of the unsupported type {str(code)[:20]!r}")
    if "V" in code:
        return _Structure(int(code.split("V")[1]))
    return np.dtype(code)


def _plain(dtype: object, *, objects: bool = False) -> np.dtype[Any]:
    """Validate a dtype: of plain bytes, or also of object references if ``objects``."""
    if isinstance(dtype, _Structure):
        dtype = dtype.dtype
    if not isinstance(dtype, np.dtype) or dtype.itemsize == 0 or (dtype.hasobject and not objects):
        _refuse("it has an array of an unsupported type")
    return dtype


def _describe_dtype(dtype: object, state: object) -> None:
    """Replaces ``dtype.__setstate__``: checks the byte order, and sets the fields of a structured dtype."""
    if not isinstance(state, tuple) or len(state) not in (8, 9):
        _refuse("it has an invalid array type")
    _version, order, subarray, names, fields, size, *_ = state
    if order == ">":
        _refuse("its arrays were written on a big-endian machine")
    if order not in ("<", "|", "=") or subarray is not None:
        _refuse("it has an invalid array type")
    if isinstance(dtype, _Structure):
        if dtype.dtype is not None or not (
            isinstance(names, tuple) and isinstance(fields, dict) and size == dtype.size
        ):
            _refuse("it has an invalid array type")
        formats, offsets = [], []
        for name in names:
            format_, offset = fields[name][:2]
            plain = _plain(format_)
            if type(offset) is not int or not 0 <= offset <= size - plain.itemsize:
                _refuse("it has an invalid array type")
            formats.append(plain)
            offsets.append(offset)
        dtype.dtype = np.dtype({"names": [*names], "formats": formats, "offsets": offsets, "itemsize": size})
    elif names or fields:
        _refuse("it has an invalid array type")


def _make_empty_array(_subtype: object, _shape: object, _kind: object) -> NDArray[Any]:
    return np.empty(0, dtype=np.int8)


def _shape(shape: object) -> tuple[int, ...]:
    if type(shape) is int:
        shape = (shape,)
    if not isinstance(shape, tuple) or len(shape) > 8 or not all(type(side) is int and side >= 0 for side in shape):
        _refuse("it has an array with an invalid shape")
    return shape


def _fill_array(array: NDArray[Any], state: object) -> None:
    """Replaces ``ndarray.__setstate__`` for an array that is still empty."""
    if not isinstance(state, tuple) or len(state) != 5 or array.dtype != np.int8 or array.size:
        _refuse("it has an invalid array")
    version, shape, dtype, is_fortran, data = state
    dtype, shape = _plain(dtype, objects=type(data) is list), _shape(shape)
    if dtype.hasobject:
        if dtype.kind != "O" or len(data) != math.prod(shape):
            _refuse("it has an invalid array")
    elif not isinstance(data, bytes | bytearray) or len(data) != math.prod(shape) * dtype.itemsize:
        _refuse("it has an array whose size does not match its data")
    fill: Any = array.__setstate__
    fill((version, shape, dtype, bool(is_fortran), data if dtype.hasobject else bytes(data)))


def _array_of_buffer(
    buffer: bytes | bytearray, dtype: object, shape: object, order: object = "C", _axes: object = None
) -> NDArray[Any]:
    plain, sides = _plain(dtype), _shape(shape)
    if not isinstance(buffer, bytes | bytearray) or len(buffer) != math.prod(sides) * plain.itemsize:
        _refuse("it has an array whose size does not match its data")
    return np.frombuffer(bytearray(buffer), plain).reshape(sides, order="F" if order == "F" else "C")


def _make_scalar(dtype: object, data: object) -> Any:
    plain = _plain(dtype)
    if type(data) is str:  # of protocol 2 and below
        data = data.encode("latin1")
    if type(data) is not bytes or len(data) != plain.itemsize:
        _refuse("it has a number whose size does not match its data")
    return np.frombuffer(data, plain)[0]


def _encode(text: object, encoding: object) -> bytes:
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        _refuse("it has an invalid call of codecs.encode")
    return text.encode("latin1")


def _make_bytes(*arguments: object) -> bytes:
    if not arguments:
        return b""
    (content,) = arguments
    if type(content) is not list or not all(type(item) is int for item in content):
        _refuse("it has an invalid call of bytes")
    return bytes(cast("list[int]", content))


def _make_bytearray(*arguments: object) -> bytearray:
    if not arguments:
        return bytearray()
    content, *encoding = arguments
    if type(content) is str:
        return bytearray(_encode(content, *encoding))
    if type(content) is not bytes:
        _refuse("it has an invalid call of bytearray")
    return bytearray(content)


def _is_simple(key: object) -> bool:
    """Whether a key can be hashed quickly: nested tuples could exhaust time or stack."""
    if type(key) is tuple:
        return all(type(item) is not tuple and _is_simple(item) for item in key)
    return isinstance(key, str | bytes | int | float | bool | np.generic | None)


def _make_set(items: object = ()) -> set[object]:
    if type(items) not in (list, tuple) or not all(map(_is_simple, cast("list[object]", items))):
        _refuse("it has an invalid call of set")
    return set(cast("list[object]", items))


def _make_frozenset(items: object = ()) -> frozenset[object]:
    return frozenset(_make_set(items))


def _make_ordered_dict(*arguments: object) -> dict[object, object]:
    if arguments:
        _refuse("it has an invalid call of OrderedDict")
    return {}  # keeps the order, too, and its items can be set without calling a method of a subclass


def _make_default_dict(*_: object) -> dict[object, object]:
    return {}  # without the default factory, which models do not need


def _make_slice(*arguments: object) -> slice:
    if not all(argument is None or type(argument) is int for argument in arguments) or not 1 <= len(arguments) <= 3:
        _refuse("it has an invalid call of slice")
    return slice(*arguments)


_CALLS: Final[Mapping[tuple[str, str], Callable[..., Any]]] = MappingProxyType(
    {
        **{(f"{core}.multiarray", "_reconstruct"): _make_empty_array for core in _NUMPY},
        **{(f"{core}.multiarray", "scalar"): _make_scalar for core in _NUMPY},
        **{(f"{core}.numeric", "_frombuffer"): _array_of_buffer for core in _NUMPY},
        ("numpy", "dtype"): _make_dtype,
        ("_codecs", "encode"): _encode,
        **{(module, "bytes"): _make_bytes for module in ("builtins", "__builtin__")},
        **{(module, "bytearray"): _make_bytearray for module in ("builtins", "__builtin__")},
        **{(module, "set"): _make_set for module in ("builtins", "__builtin__")},
        **{(module, "frozenset"): _make_frozenset for module in ("builtins", "__builtin__")},
        **{(module, "slice"): _make_slice for module in ("builtins", "__builtin__")},
        ("collections", "OrderedDict"): _make_ordered_dict,
        ("collections", "defaultdict"): _make_default_dict,
        ("joblib.numpy_pickle", "NumpyArrayWrapper"): _JoblibArray,
    }
)
# Types that pickles refer to, for example as arguments, but that are never instantiated
_TYPES: Final = MappingProxyType(
    {
        ("numpy", "ndarray"): np.ndarray,
        **{("numpy", name): getattr(np, name) for name in ("float64", "float32", "int64", "int32", "intp", "bool_")},
        **{(module, "object"): object for module in ("builtins", "__builtin__")},
        **{("builtins", name): kind for name, kind in (("int", int), ("float", float), ("str", str), ("bool", bool))},
    }
)


class Special:
    """Creates and restores objects of a class for which ``object.__new__`` and ``__dict__`` are not enough."""

    def make(self, cls: type, arguments: tuple[Any, ...]) -> Any:
        """Create an object without its state.

        Raises:
            UnsafePickleError: the arguments are not what pickle writes.
        """
        raise NotImplementedError

    def set_state(self, instance: Any, state: Any) -> None:
        """Set the state of an object.

        Raises:
            UnsafePickleError: the state is invalid for the class.
        """
        raise NotImplementedError


class Unpickler(pickle._Unpickler):
    # ruff: noqa: D102 (overrides of pickle's methods)
    """Python's unpickler, with checks of every opcode that calls a function or changes an object.

    Args:
        file: the pickle, possibly with joblib's arrays.
        classes: the allowlist of (module, name), imported when needed.
        special: handlers for classes that cannot be restored through ``__dict__``.
    """

    dispatch = pickle._Unpickler.dispatch.copy()
    stack: list[Any]

    def __init__(
        self,
        file: BytesIO,
        classes: frozenset[tuple[str, str]],
        special: Mapping[tuple[str, str], Special],
        depth: int = 0,
    ) -> None:
        super().__init__(file)
        self._file, self._classes, self._special, self._depth = file, classes, special, depth
        self._names: dict[type, tuple[str, str]] = {}
        self.versions: set[str] = set()
        """The versions of scikit-learn that wrote the estimators in the file."""

    def find_class(self, module: str, name: str) -> Any:
        key = (module, name)
        if key in _CALLS:
            return _CALLS[key]
        if key in _TYPES:
            return _TYPES[key]
        if key in {("copyreg", "_reconstructor"), ("copy_reg", "_reconstructor")}:
            return self._reconstruct
        if key in self._classes:
            try:
                found = getattr(importlib.import_module(module), name)
            except (ImportError, AttributeError):
                package = module.partition(".")[0]
                text = f"it needs {module}.{name}, which is not installed; install {package}"
                raise UnsafePickleError(text) from None
            self._names[found] = key
            return found
        return Placeholder(f"{module}.{name}")

    def _reconstruct(self, cls: object, base: object, _state: object) -> Any:
        """Replaces ``copyreg._reconstructor``, which protocols 0 and 1 call to create objects."""
        if base is not object:
            _refuse("it has an invalid call of copyreg")
        return self._call(cls, ())

    def _call(self, function: Any, arguments: Any) -> Any:
        if type(arguments) is not tuple:
            _refuse("it has a call with invalid arguments")
        if isinstance(function, Placeholder):
            if function.name == "builtins.getattr" and arguments and isinstance(arguments[0], Placeholder):
                return arguments[0]  # a reference to a method becomes its class
            return Placeholder(function.name)
        if isinstance(function, type) and function in self._names:
            special = self._special.get(self._names[function])
            if special:
                return special.make(function, arguments)
            if arguments:
                _refuse(f"it creates a {function.__name__} with arguments, which no classifier needs")
            make: Any = function.__new__
            return make(function)
        if function in _CALLS.values() or function == self._reconstruct:
            try:
                return function(*arguments)
            except TypeError:
                _refuse("it has a call with invalid arguments")
        _refuse("it calls something that is not a function")

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], arguments)

    dispatch[pickle.REDUCE[0]] = load_reduce  # type: ignore[assignment]
    dispatch[pickle.NEWOBJ[0]] = load_reduce  # type: ignore[assignment]

    def load_newobj_ex(self) -> None:
        if self.stack.pop():
            _refuse("it creates an object with arguments, which no classifier needs")
        self.load_reduce()

    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex  # type: ignore[assignment]

    def _instantiate(self, cls: Any, arguments: Any) -> None:  # INST and OBJ of protocol 0 and 1
        self.append(self._call(cls, tuple(arguments)))  # type: ignore[attr-defined]

    def load_build(self) -> None:
        state = self.stack.pop()
        instance = self.stack[-1]
        key = self._names.get(type(instance))
        if isinstance(instance, Placeholder):
            instance.state = state
        elif isinstance(instance, np.dtype | _Structure):
            _describe_dtype(instance, state)
        elif type(instance) is np.ndarray:
            _fill_array(instance, state)
        elif type(instance) is _JoblibArray:
            self.stack[-1] = self._read_array(state)
        elif key is None:
            _refuse(f"it sets the state of a {type(instance).__name__}, which no classifier needs")
        elif special := self._special.get(key):
            special.set_state(instance, state)
        else:
            self._set_attributes(instance, state)

    dispatch[pickle.BUILD[0]] = load_build  # type: ignore[assignment]

    def _set_attributes(self, instance: Any, state: Any) -> None:
        if type(state) is tuple and len(state) == 2 and state[1] is None:
            state = state[0]
        if type(state) is not dict:
            _refuse(f"it has a {type(instance).__name__} with an invalid state")
        state = dict(state)
        version = state.pop("_sklearn_version", None)
        if type(version) is str:
            self.versions.add(version)
        for name in state:
            if type(name) is not str or name.startswith("__") or callable(getattr(type(instance), name, None)):
                _refuse(f"it overrides a method of {type(instance).__name__}")
        vars(instance).update(state)

    def _read_array(self, state: Any) -> Any:
        """Read an array in joblib's format: metadata, alignment padding, then raw bytes or a nested pickle.

        https://github.com/joblib/joblib/blob/main/joblib/numpy_pickle.py
        """
        if type(state) is not dict:
            _refuse("it has an invalid joblib array")
        dtype, shape = _plain(state.get("dtype"), objects=True), _shape(state.get("shape"))
        if dtype.hasobject:
            if self._depth == MAX_DEPTH:
                _refuse("it has too many nested pickles")
            inner = type(self)(self._file, self._classes, self._special, self._depth + 1)
            array = inner.load()
            self.versions |= inner.versions
            self._names |= inner._names
            if type(array) is not np.ndarray:
                _refuse("it has an invalid joblib array")
            return array
        if state.get("numpy_array_alignment_bytes") is not None:
            padding = self._file.read(1)
            self._file.read(padding[0] if padding else 0)
        content = self._file.read(min(math.prod(shape) * dtype.itemsize, self._remaining()))
        array = _array_of_buffer(content, dtype, shape[::-1] if state.get("order") == "F" else shape)
        return array.transpose() if state.get("order") == "F" else array

    def _remaining(self) -> int:
        return len(self._file.getbuffer()) - self._file.tell()

    def load_bytearray8(self) -> None:
        size = int.from_bytes(self.read(8), "little")  # type: ignore[attr-defined]
        if size > len(self._file.getbuffer()):
            _refuse("it is truncated")
        self.append(bytearray(self.read(size)))  # type: ignore[attr-defined]

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8  # type: ignore[assignment]

    def load_append(self) -> None:
        value = self.stack.pop()
        self._extend([value])

    dispatch[pickle.APPEND[0]] = load_append  # type: ignore[assignment]

    def load_appends(self) -> None:
        self._extend(self.pop_mark())  # type: ignore[attr-defined]

    dispatch[pickle.APPENDS[0]] = load_appends  # type: ignore[assignment]

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is list:
            target += items
        elif not isinstance(target, Placeholder):
            _refuse(f"it appends to a {type(target).__name__}")

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    dispatch[pickle.SETITEM[0]] = load_setitem  # type: ignore[assignment]

    def load_setitems(self) -> None:
        self._set_items(self.pop_mark())  # type: ignore[attr-defined]

    dispatch[pickle.SETITEMS[0]] = load_setitems  # type: ignore[assignment]

    def load_dict(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        self.stack.append({})
        self._set_items(items)

    dispatch[pickle.DICT[0]] = load_dict  # type: ignore[assignment]

    def _set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Placeholder):
            return
        if not isinstance(target, dict) or len(items) % 2 or not all(map(_is_simple, items[::2])):
            _refuse(f"it sets items of a {type(target).__name__}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            dict.__setitem__(target, key, value)

    def load_additems(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        target = self.stack[-1]
        if type(target) is not set or not all(map(_is_simple, items)):
            _refuse(f"it adds items to a {type(target).__name__}")
        target.update(items)

    dispatch[pickle.ADDITEMS[0]] = load_additems  # type: ignore[assignment]

    def load_frozenset(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        self.append(_make_frozenset(items))  # type: ignore[attr-defined]

    dispatch[pickle.FROZENSET[0]] = load_frozenset  # type: ignore[assignment]

    def get_extension(self, code: int) -> NoReturn:
        _refuse(f"it uses copyreg's code {code}")


def load(
    content: bytes, classes: frozenset[tuple[str, str]], special: Mapping[tuple[str, str], Special]
) -> tuple[Any, set[str]]:
    """Load a pickle with ``Unpickler``.

    Returns:
        The object, and the versions of scikit-learn that wrote it.

    Raises:
        UnsafePickleError: the content is not a pickle, or not safe.
    """
    unpickler = Unpickler(BytesIO(content), classes, special)
    try:
        return unpickler.load(), unpickler.versions
    except UnsafePickleError:
        raise
    except MemoryError:
        raise UnsafePickleError("it needs too much memory") from None
    except RecursionError:
        raise UnsafePickleError("it is nested too deeply") from None
    except EOFError:
        raise UnsafePickleError("it is truncated") from None
    except KeyError:  # raised for an unknown opcode, as in most text files
        raise UnsafePickleError("it is not a pickle, or damaged") from None
    except Exception as error:  # a malformed pickle can raise any exception
        raise UnsafePickleError(f"it cannot be read as a pickle ({type(error).__name__}: {error})") from None
