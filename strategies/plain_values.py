"""Values as plain text and arrays, to be kept on disk and read back exactly as they were.

value  ->  JSON, with the names of arrays  +  the arrays  ->  the same value

Only classes that are named beforehand can be written or read, by their fields: what
lies on a disk never decides which code runs. Floats come back to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
Classes = Mapping[str, type]

_IS = "is"
"""Key that tells what an object of JSON stands for."""


class PlainValueError(ValueError):
    """A value that cannot be written, or JSON that stands for none."""


def named(classes: Iterable[type]) -> dict[str, type]:
    """Return classes by their full names."""
    return {f"{cls.__module__}.{cls.__qualname__}": cls for cls in classes}


class Packer:
    """Takes values apart.

    Parameters
    ----------
    classes : mapping of str to type
        Data classes and enumerations that may be in them, by name.

    Attributes
    ----------
    arrays : dict of str to array
        Those met so far, each once.
    """

    def __init__(self, classes: Classes) -> None:
        self.arrays: Arrays = {}
        self._names = {cls: name for name, cls in classes.items()}
        self._known: dict[int, tuple[str, Any]] = {}

    def pack(self, value: Any) -> Any:
        """Return ``value`` in JSON's types; its arrays go to :attr:`arrays`.

        Raises
        ------
        PlainValueError
            If something in it is of a class that was not named.
        """
        if isinstance(value, Enum):
            return {_IS: self._name(value), "value": value.value}
        if isinstance(value, np.ndarray | np.generic):
            scalar = isinstance(value, np.generic)
            return {_IS: "scalar" if scalar else "array", "name": self._array(value)}
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) is list:
            return [self.pack(one) for one in value]
        if type(value) is tuple:
            return {_IS: "tuple", "values": [self.pack(one) for one in value]}
        if type(value) is dict:
            pairs = [[self.pack(key), self.pack(one)] for key, one in value.items()]
            return {_IS: "dict", "pairs": pairs}
        packed = {name: self.pack(getattr(value, name)) for name in _fields(type(value))}
        return {_IS: self._name(value), "fields": packed}

    def _name(self, value: Any) -> str:
        try:
            return self._names[type(value)]
        except KeyError:
            raise PlainValueError(f"{type(value).__name__} cannot be kept.") from None

    def _array(self, value: Any) -> str:
        if id(value) not in self._known:
            name = str(len(self.arrays))
            array = np.asarray(value)
            if array.dtype.hasobject:
                raise PlainValueError("An array of objects cannot be kept.")
            self.arrays[name] = array
            self._known[id(value)] = name, value  # kept alive: another must not get its id
        return self._known[id(value)][0]


def unpack(plain: Any, arrays: Mapping[str, NDArray[Any]], classes: Classes) -> Any:
    """Rebuild what :class:`Packer` took apart.

    Raises
    ------
    PlainValueError
        If a class is unknown, or has other fields here.
    """
    if isinstance(plain, list):
        return [unpack(one, arrays, classes) for one in plain]
    if not isinstance(plain, dict):
        return plain
    match plain:
        case {"is": "array" | "scalar" as kind, "name": str(name)} if name in arrays:
            return arrays[name] if kind == "array" else arrays[name][()]
        case {"is": "tuple", "values": list(values)}:
            return tuple(unpack(one, arrays, classes) for one in values)
        case {"is": "dict", "pairs": list(pairs)}:
            return {unpack(k, arrays, classes): unpack(v, arrays, classes) for k, v in pairs}
        case {"is": str(name), "value": value} if name in classes:
            return classes[name](value)
        case {"is": str(name), "fields": dict(packed)} if name in classes:
            cls = classes[name]
            if list(packed) != _fields(cls):
                raise PlainValueError(f"{cls.__name__} has other fields here: {_fields(cls)}.")
            return cls(**{key: unpack(one, arrays, classes) for key, one in packed.items()})
    raise PlainValueError(f"{str(plain)[:60]!r} stands for nothing that is known here.")


def _fields(cls: type) -> list[str]:
    """Return what a data class is made with; the rest follows from it."""
    if not is_dataclass(cls):
        raise PlainValueError(f"{cls.__name__} cannot be kept.")
    return [field.name for field in fields(cls) if field.init]
