from __future__ import annotations

import io
import json
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from privacy.query import FloatArray, NoiseKind
from privacy.release import Release
from tests.privacy.examples import a_block

SUMS = {"sums": np.arange(6, dtype=np.float32).reshape(3, 2), "counts": np.ones((3, 1), np.float32)}


def a_release(sums: dict[str, FloatArray] | None = None, *, sigma: float = 2.0) -> Release:
    return Release(
        region="north",
        run="run-1",
        round_number=3,
        purpose="lloyd-3",
        window="2026-01-01/2027-01-01",
        sums=SUMS if sums is None else sums,
        sensitivity=1 / 3,
        sigma=sigma,
        noise=NoiseKind.SEEDED,
        entry=5,
    )


def assert_equal_releases(one: Release, other: Release) -> None:
    for field in Release.__dataclass_fields__:
        if field != "sums":
            assert getattr(one, field) == getattr(other, field)
    assert list(one.sums) == list(other.sums)
    for name, array in one.sums.items():
        assert other.sums[name].dtype == array.dtype
        np.testing.assert_array_equal(other.sums[name], array)


def test_release_survives_the_way_through_bytes() -> None:
    assert_equal_releases(Release.from_bytes(a_release().to_bytes()), a_release())


@given(
    arrays.arrays(np.float32, arrays.array_shapes(min_dims=2, max_dims=2, max_side=5)),
    st.floats(min_value=1e-300, allow_infinity=False),
)
@settings(deadline=None)
def test_any_sums_survive_bit_by_bit(array: FloatArray, sigma: float) -> None:
    release = a_release({"sums": array}, sigma=sigma)
    again = Release.from_bytes(release.to_bytes())
    assert again.sums["sums"].tobytes() == array.tobytes()
    assert again.sigma == sigma


def test_same_release_always_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    first = a_release().to_bytes()
    later = time.time() + 100_000
    monkeypatch.setattr(time, "time", lambda: later)
    assert a_release().to_bytes() == first
    assert Release.from_bytes(first).to_bytes() == first


def test_different_releases_give_different_bytes() -> None:
    assert a_release(sigma=2.5).to_bytes() != a_release().to_bytes()


def test_kind_of_noise_comes_back_as_its_type() -> None:
    assert Release.from_bytes(a_release().to_bytes()).noise is NoiseKind.SEEDED


@pytest.mark.parametrize("name", ["header", "file", "allow_pickle", "args", "a b/c"])
def test_no_name_of_a_block_clashes_with_the_archive(name: str) -> None:
    try:
        a_block(name)
    except ValueError:
        return  # a name that cannot be stored may be refused before anything is charged
    release = a_release({name: SUMS["sums"]})
    assert_equal_releases(Release.from_bytes(release.to_bytes()), release)


def test_what_was_kept_before_answers_told_their_program_is_still_read() -> None:
    with np.load(io.BytesIO(a_release().to_bytes())) as archive:
        parts = {name: archive[name] for name in archive.files}
    header = json.loads(str(parts["header"]))
    del header["code"]
    kept = io.BytesIO()
    np.savez(kept, **parts | {"header": np.array(json.dumps(header))})
    assert_equal_releases(Release.from_bytes(kept.getvalue()), a_release())


def test_bytes_with_pickled_objects_are_not_read() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, header=np.array([{"region": "north"}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        Release.from_bytes(buffer.getvalue())


def test_signatures_hold_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    # An archive's bytes tell which system wrote it; what is signed must not.
    digest = a_release().digest()
    monkeypatch.setattr(sys, "platform", "win32")
    assert a_release().digest() == digest
    big = {name: array.astype(array.dtype.newbyteorder(">")) for name, array in SUMS.items()}
    assert a_release(big).digest() == digest


@pytest.mark.parametrize(
    "sums",
    [
        {"sums": SUMS["sums"].reshape(2, 3), "counts": SUMS["counts"]},
        {"sums": SUMS["counts"], "counts": SUMS["sums"]},
        {"sums": SUMS["sums"]},
        {"sums": SUMS["sums"] + 1, "counts": SUMS["counts"]},
    ],
    ids=["shape", "names", "fewer", "values"],
)
def test_other_sums_have_another_digest(sums: dict[str, FloatArray]) -> None:
    assert a_release(sums).digest() != a_release().digest()
