"""Vectors from files: what is wrong with them is told, and nothing was started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privacy.query import NoiseKind, TrustModel
from simulations.given_vectors import (
    VectorsError,
    noise_kind_of,
    read_public,
    read_silos,
    read_vectors,
    spread_over_silos,
    trust_model_of,
    usable,
)


def saved(path: Path, array: Any) -> Path:
    np.save(path, array, allow_pickle=True)
    return path


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.ones(5), r"shape \(5,\)"),
        (np.ones((2, 3, 4)), r"shape \(2, 3, 4\)"),
        (np.ones((3, 0)), r"shape \(3, 0\)"),
        (np.array([["a", "b"]]), "holds <U1 values"),
        (np.ones((2, 2), complex), "holds complex128 values"),
        (np.ones((2, 2), bool), "holds bool values"),
        (np.array([[1.0, 2.0], [np.nan, 0.0], [np.inf, 1.0]]), "2 of 3 rows have NaN.*row 1"),
        (np.array([[1e19, 0.0]]), "1 of 1 rows"),
        (np.array([[1, 2, 3]], dtype=object), "not an array of numbers"),
    ],
    ids=["1-d", "3-d", "no columns", "text", "complex", "bool", "nan", "huge", "objects"],
)
def test_what_cannot_be_users_is_told_with_its_file(tmp_path: Path, array: Any, told: str) -> None:
    path = saved(tmp_path / "users.npy", array)
    with pytest.raises(VectorsError, match=told) as caught:
        read_vectors(path)
    assert "users.npy" in str(caught.value)


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "several"])
def test_what_is_no_array_file_is_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "users.npy"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("1,2,3")
    elif kind == "several":
        np.savez(tmp_path / "users.npz", a=np.ones((2, 2)))
        path = tmp_path / "users.npz"
    with pytest.raises(VectorsError, match=r"cannot be read|not an array|several arrays"):
        read_vectors(path)


def archive_cut_short(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), a=np.ones((90, 9)))
    path.write_bytes(path.with_suffix(".npz").read_bytes()[:500])


def announcing_too_much(path: Path) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 50_000)}
        )


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda path: path.write_bytes(b""), "not an array"),
        (lambda path: path.write_bytes(b"PK\x03\x04 and so on"), "not an array"),
        (archive_cut_short, "not an array"),
        (announcing_too_much, "more than this machine's memory holds"),
    ],
    ids=["nothing", "no archive", "cut short", "announces 364 TiB"],
)
def test_damaged_files_are_told(tmp_path: Path, write: Any, told: str) -> None:
    path = tmp_path / "users.npy"
    write(path)
    with pytest.raises(VectorsError, match=told) as caught:
        read_vectors(path)
    assert "users.npy" in str(caught.value)


@pytest.mark.parametrize("other", ["users.npy", "folder/../users.npy", "copy.npy"])
def test_a_file_given_twice_is_told_with_both_names(tmp_path: Path, other: str) -> None:
    (tmp_path / "folder").mkdir()
    users = np.random.default_rng(0).standard_normal((20, 3))
    one, again = saved(tmp_path / "users.npy", users), tmp_path / other
    saved(tmp_path / "copy.npy", users)
    with pytest.raises(VectorsError, match="hold the same vectors") as caught:
        read_silos([one, again], None)
    assert str(one) in str(caught.value)
    assert str(again) in str(caught.value)


@pytest.mark.parametrize("n_silos", [None, 4])
def test_private_vectors_are_not_taken_as_public(tmp_path: Path, n_silos: int | None) -> None:
    users = np.random.default_rng(0).standard_normal((20, 3))
    one = saved(tmp_path / "users.npy", users)
    silos = read_silos([one], n_silos)
    for path in (one, saved(tmp_path / "shuffled.npy", users[::-1])):
        with pytest.raises(VectorsError, match="without any noise"):
            read_public(path, [one], silos)
    others = saved(tmp_path / "others.npy", users + 1)
    assert len(read_public(others, [one], silos)) == 20


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32, np.uint8])
def test_other_real_numbers_become_single_precision(tmp_path: Path, dtype: Any) -> None:
    path = saved(tmp_path / "users.npy", np.arange(6).reshape(3, 2).astype(dtype))
    vectors = read_vectors(path)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, np.arange(6).reshape(3, 2))


def test_one_file_is_spread_over_silos_and_several_are_silos(tmp_path: Path) -> None:
    whole = saved(tmp_path / "all.npy", np.arange(14.0).reshape(7, 2))
    parts = read_silos([whole], 3)
    assert len(parts) == 3
    rows = {tuple(row) for part in parts for row in part.tolist()}
    assert rows == {tuple(row) for row in np.arange(14.0).reshape(7, 2).tolist()}
    assert sum(len(part) for part in parts) == 7
    other = saved(tmp_path / "other.npy", np.zeros((0, 2)))
    assert [len(part) for part in read_silos([whole, other], None)] == [7, 0]
    with pytest.raises(VectorsError, match="each file is one silo"):
        read_silos([whole, other], 3)
    with pytest.raises(VectorsError, match="at least 1"):
        read_silos([whole], 0)
    with pytest.raises(VectorsError, match="at most the 7 rows"):
        read_silos([whole], 8)


def test_one_user_less_changes_one_silo_by_that_user_and_no_other() -> None:
    users = np.random.default_rng(3).standard_normal((500, 4)).astype(np.float32)
    for n_silos in (2, 8, 32):
        everybody = spread_over_silos(users, n_silos)
        assert min(len(part) for part in everybody) > 0
        for gone in (0, 250, 499):
            others = spread_over_silos(np.delete(users, gone, axis=0), n_silos)
            lost = [len(one) - len(other) for one, other in zip(everybody, others, strict=True)]
            assert sorted(lost) == [0] * (n_silos - 1) + [1]
            for one, other, fewer in zip(everybody, others, lost, strict=True):
                kept = one if not fewer else one[(one != users[gone]).any(axis=1)]
                np.testing.assert_array_equal(kept, other)


def test_files_of_different_dimension_are_told_with_both(tmp_path: Path) -> None:
    one, other = (
        saved(tmp_path / "a.npy", np.ones((2, 3))),
        saved(tmp_path / "b.npy", np.ones((2, 4))),
    )
    with pytest.raises(VectorsError, match=r"b\.npy has vectors of 4 dimensions.*a\.npy of 3"):
        read_silos([one, other], None)
    with pytest.raises(VectorsError, match="4 dimensions, The users' vectors of 3"):
        read_public(other, [one], [np.ones((2, 3), np.float32)])


def test_nobody_at_all_is_told(tmp_path: Path) -> None:
    nobody = saved(tmp_path / "a.npy", np.zeros((0, 3)))
    for files in ([nobody], [nobody, saved(tmp_path / "b.npy", np.zeros((0, 3)))]):
        with pytest.raises(VectorsError, match="no rows"):
            read_silos(files, None)


def test_names_of_trust_models_and_noises_are_checked() -> None:
    assert trust_model_of("central") is TrustModel.CENTRAL
    assert noise_kind_of("float") is NoiseKind.FLOAT
    with pytest.raises(VectorsError, match="needs secure aggregation"):
        trust_model_of("distributed")
    with pytest.raises(VectorsError, match="Choose one of local, central"):
        trust_model_of("nobody")
    with pytest.raises(VectorsError, match="Choose one of discrete, float, seeded"):
        noise_kind_of("white")


def test_usable_rows_are_not_changed() -> None:
    rows = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    assert usable(rows, "rows") is not None
    np.testing.assert_array_equal(usable(rows, "rows"), rows)
