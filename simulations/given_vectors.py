"""Vectors from files: read, checked, and split over silos.

``.npy`` files  ->  float32 arrays of shape (n_users, d), finite

The caller's own data: what is wrong with them is told, with row numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from privacy.query import FloatArray, NoiseKind, TrustModel

LARGEST = 1e15
"""Squares of larger entries do not add up in single precision."""
ROWS_AT_A_TIME = 65536


class VectorsError(Exception):
    """Vectors or settings that cannot be used; nothing was started."""


def read_silos(paths: Sequence[Path], n_silos: int | None) -> list[FloatArray]:
    """Read the users' vectors: one silo for each file, or one file over ``n_silos``.

    Raises
    ------
    VectorsError
        If a file cannot be read or used, is given twice, or the files disagree on the
        dimension.
    """
    arrays = [read_vectors(path) for path in paths]
    check_same_space(arrays, [str(path) for path in paths])
    if len(paths) > 1:
        check_not_twice(paths, arrays)
    if not any(len(array) for array in arrays):
        raise VectorsError(f"{paths[0]} has no rows, so there is nobody. Nothing was started.")
    if n_silos is None or n_silos == len(arrays):
        return arrays
    if len(arrays) > 1:
        raise VectorsError(
            f"{len(arrays)} files were given and --silos {n_silos}: each file is one silo. "
            "Nothing was started. Leave --silos out, or give one file."
        )
    if not 1 <= n_silos <= len(arrays[0]):
        raise VectorsError(
            f"--silos is {n_silos}; it must be at least 1, and at most the {len(arrays[0])} rows "
            f"of {paths[0]}. Nothing was started."
        )
    return spread_over_silos(arrays[0], n_silos)


def spread_over_silos(array: FloatArray, n_silos: int) -> list[FloatArray]:
    """Spread users over silos by a hash of their own vector.

    Cut by their order instead, one user less would move a user at each border: then
    neighbours would differ in every silo, and the losses of all silos add up.
    """
    digests = (hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in array)
    silo = np.array([int.from_bytes(digest, "big") % n_silos for digest in digests], dtype=np.int64)
    return [array[silo == number] for number in range(n_silos)]


def read_vectors(path: Path) -> FloatArray:
    """Read one ``.npy`` file of shape (n, d).

    Returns
    -------
    float32, shape (n, d)
        Finite.

    Raises
    ------
    VectorsError
        If the file is no such array, or has values that are not finite.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise VectorsError(
            f"{path} cannot be read ({error.strerror or error}). Nothing was started."
        ) from error
    except MemoryError as error:
        raise VectorsError(
            f"{path} announces more than this machine's memory holds ({error}). Nothing was "
            "started. Write the file anew, or give a part of it."
        ) from error
    except (ValueError, EOFError, BadZipFile, SyntaxError) as error:
        raise VectorsError(
            f"{path} is not an array of numbers in NumPy's .npy format ({error}). "
            "Nothing was started."
        ) from error
    if not isinstance(array, np.ndarray):
        raise VectorsError(
            f"{path} holds several arrays (.npz). Nothing was started. Give one .npy file each."
        )
    return usable(array, str(path))


def usable(array: NDArray[np.generic], name: str) -> FloatArray:
    """Return ``array`` as float32 of shape (n, d), if every row can be a user.

    Raises
    ------
    VectorsError
        If it is of another shape or kind, or not finite; ``name`` is in the message.
    """
    if array.ndim != 2 or array.shape[1] < 1:
        raise VectorsError(
            f"{name} has shape {array.shape}; expected (n_users, d): one vector in each row. "
            "Nothing was started."
        )
    if array.dtype.kind not in "fiu":
        raise VectorsError(
            f"{name} holds {array.dtype} values; expected float32 (other real numbers are "
            "converted). Nothing was started."
        )
    wrong = [row for row, good in enumerate(_finite_rows(array)) if not good]
    if wrong:
        raise VectorsError(
            f"{name}: {len(wrong)} of {len(array)} rows have NaN, Inf or values beyond "
            f"{LARGEST:g}, the first of them row {wrong[0]}. Nothing was started. Repair or leave "
            "out these rows."
        )
    return np.ascontiguousarray(array, dtype=np.float32)


def read_public(path: Path, private: Sequence[Path], silos: Sequence[FloatArray]) -> FloatArray:
    """Read public vectors of the users' space: float32, shape (n_public, d).

    Parameters
    ----------
    path : Path
    private, silos : sequences
        The users' files, and what :func:`read_silos` made of them.

    Raises
    ------
    VectorsError
        If the file cannot be read or used, holds the users' vectors themselves, or is of
        another dimension.
    """
    vectors = read_vectors(path)
    check_same_space([silos[0], vectors], ["The users' vectors", str(path)])
    # One file may be spread over several silos; several files are a silo each.
    parts = [silos] if len(private) == 1 else [[silo] for silo in silos]
    for file, users in zip(private, parts, strict=True):
        if path.resolve() == file.resolve() or _same_rows(vectors, users):
            raise VectorsError(
                f"{path} is to be public, and holds the users' own vectors, as {file} does. "
                "Nothing was started: they would be used without any noise. Name vectors that "
                "everybody may see."
            )
    return vectors


def check_not_twice(paths: Sequence[Path], arrays: Sequence[FloatArray]) -> None:
    """Refuse files that are the same, by name or by what is in them.

    A user in two silos would be released twice and charged once.

    Raises
    ------
    VectorsError
        Naming both.
    """
    seen: dict[object, Path] = {}
    for path, array in zip(paths, arrays, strict=True):
        identities = (path.resolve(), hashlib.blake2b(array.reshape(-1).data).digest())
        for identity in identities if len(array) else ():
            if identity in seen:
                raise VectorsError(
                    f"{seen[identity]} and {path} hold the same vectors. Nothing was started. Each "
                    "user belongs to one silo: give each file once."
                )
        seen |= dict.fromkeys(identities, path)


def _same_rows(whole: FloatArray, parts: Sequence[FloatArray]) -> bool:
    """Tell whether the parts together hold the same rows as the whole, in whatever order."""
    if not len(whole) or len(whole) != sum(len(part) for part in parts):
        return False
    row = np.dtype((np.void, whole.shape[1] * whole.itemsize))
    first, second = (np.sort(rows.view(row), axis=0) for rows in (whole, np.concatenate(parts)))
    return bool((first == second).all())


def trust_model_of(name: str) -> TrustModel:
    """Return the trust model of that name.

    Raises
    ------
    VectorsError
        If there is none, or it is not built yet.
    """
    if name == "distributed":
        raise VectorsError(
            "Trust model distributed needs secure aggregation, which this version does not have. "
            "Nothing was started. Choose local or central."
        )
    return TrustModel(_one_of("trust model", name, [*TrustModel]))


def noise_kind_of(name: str) -> NoiseKind:
    """Return the kind of noise of that name.

    Raises
    ------
    VectorsError
        If there is none.
    """
    return NoiseKind(_one_of("noise of kind", name, [*NoiseKind]))


def _one_of(what: str, name: str, known: Sequence[str]) -> str:
    if name not in known:
        raise VectorsError(
            f"There is no {what} {name!r}. Nothing was started. Choose one of {', '.join(known)}."
        )
    return name


def check_same_space(arrays: Sequence[FloatArray], names: Sequence[str]) -> None:
    """Raise VectorsError unless all arrays have as many columns as the first."""
    dim = arrays[0].shape[1]
    for array, name in zip(arrays, names, strict=True):
        if array.shape[1] != dim:
            raise VectorsError(
                f"{name} has vectors of {array.shape[1]} dimensions, {names[0]} of {dim}. Nothing "
                "was started. All silos and the public vectors must come from the same encoder."
            )


def _finite_rows(array: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Tell which rows are finite and of moderate size, a few rows at a time."""
    good = np.ones(len(array), dtype=bool)
    for start in range(0, len(array), ROWS_AT_A_TIME):
        part = array[start : start + ROWS_AT_A_TIME].astype(np.float64)
        # A comparison with NaN is false.
        good[start : start + ROWS_AT_A_TIME] = (np.abs(part) <= LARGEST).all(axis=1)
    return good
