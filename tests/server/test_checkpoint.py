"""A checkpoint is read as it was written, or not at all."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privacy.query import NoiseKind, TrustModel
from server.checkpoint import (
    FORMAT,
    MAGIC,
    Checkpoint,
    CheckpointError,
    read_checkpoint,
    write_checkpoint,
)
from strategies.clustering import Clustering
from strategies.federated_kmeans import AcceptedAnswer, RoundRecord
from strategies.phases.lloyd import LloydPool
from strategies.plain_values import Packer, PlainValueError, named, unpack
from strategies.public_catalogue import nameless
from strategies.questions import Request
from strategies.run_state import CLASSES, RunState
from tests.strategies.examples import a_head, a_refusal, distance_histogram


def a_request() -> Request:
    return Request(
        run="run-1",
        round_number=2,
        purpose="radius",
        trust_model=TrustModel.LOCAL,
        sigma=1 / 3,
        encoder="e",
        catalogue="c",
        question=distance_histogram(np.full((1, 3), 0.1, np.float32)),
        participants=2,
    )


def a_checkpoint(**known: Any) -> Checkpoint:
    record = RoundRecord(
        number=1, purpose="mean", sensitivity=0.1, sigma=1 / 7, step=2.0**-24, share=0.02
    )
    record.refusals.append(replace(a_refusal(), head=a_head()))
    record.answers.append(
        AcceptedAnswer(
            region="north",
            public_key="k",
            window="2026",
            entry=3,
            sensitivity=0.1,
            sigma=1 / 7,
            step=2.0**-24,
            noise="discrete",
            code="c" * 64,
        )
    )
    return Checkpoint(
        identity={"clustering.k": 3, "privacy.epsilon": float("inf"), "run.name": "sample"},
        started="2026-03-02T12:00:00+00:00",
        seconds=1 / 3,
        server_head=a_head("server"),
        state=RunState(
            run="run-1",
            plan=[("mean", 0.1), ("radius", 1 / 3)],
            done=1,
            request=a_request(),
            known={"radius": float("nan"), "users": np.float64(1 / 7), "k": 3} | known,
            memories=[LloydPool().kept()],
            history=[record],
            heads={"heads": {"north": a_head()}, "seen": {("north", 4): "digest"}},
            noises=[NoiseKind.SEEDED],
            windows=["2026"],
            resumed=2,
        ),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "run.checkpoint"
    write_checkpoint(path, a_checkpoint())
    return path


def test_a_checkpoint_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    arrays: dict[str, np.ndarray] = {
        "double": rng.standard_normal((5, 3)),
        "single": rng.standard_normal((2, 2)).astype(np.float32),
        "turned": np.asfortranarray(rng.standard_normal((4, 3))),
        "none": np.zeros((0, 4)),
        "special": np.array([np.nan, np.inf, -0.0]),
        "flags": np.array([True, False]),
    }
    path = tmp_path / "run.checkpoint"
    write_checkpoint(path, a_checkpoint(**arrays))
    found, sent = read_checkpoint(path), a_checkpoint(**arrays)
    for name, array in arrays.items():
        back = found.state.known[name]
        assert (back.dtype, back.shape) == (array.dtype, array.shape), name
        assert back.tobytes() == array.tobytes(), name
        assert back.flags.f_contiguous == array.flags.f_contiguous, name
    assert found.identity == sent.identity
    assert (found.server_head, found.seconds) == (sent.server_head, sent.seconds)
    assert found.state.plan == sent.state.plan
    assert found.state.heads == sent.state.heads
    assert repr(found.state.history) == repr(sent.state.history)
    assert found.state.noises[0] is NoiseKind.SEEDED
    request = found.state.request
    assert request is not None
    assert request.query() == a_request().query()
    assert np.isnan(found.state.known["radius"])
    assert type(found.state.known["users"]) is np.float64


@pytest.mark.parametrize("part", range(12))
def test_a_checkpoint_that_was_cut_off_is_refused(path: Path, part: int) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * part // 12])
    with pytest.raises(CheckpointError, match="nothing was asked of any region"):
        read_checkpoint(path)


@pytest.mark.parametrize("part", range(12))
def test_a_checkpoint_with_a_changed_byte_is_refused(path: Path, part: int) -> None:
    content = bytearray(path.read_bytes())
    content[(len(content) - 1) * part // 11] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match=r"run\.resume = false"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "is no checkpoint of this program"),
        (b"PK\x03\x04 something else", "is no checkpoint of this program"),
        (b"fedinterest-checkpoint x y\n", "is no checkpoint of this program"),
        (b"fedinterest-checkpoint 2 0000\nold things", "is of format 2, and this version reads 3"),
        (b"fedinterest-checkpoint 3 0000\nour things", "has been damaged or cut off"),
    ],
)
def test_a_foreign_file_is_refused(path: Path, content: bytes, found: str) -> None:
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert found in str(caught.value)
    assert str(path) in str(caught.value)


def sealed(body: bytes) -> bytes:
    digest = hashlib.sha256(body).hexdigest().encode()
    return b"%s %d %s\n" % (MAGIC, FORMAT, digest) + body


@pytest.mark.parametrize(
    "body", [b"", b"no archive", pickle.dumps({"a": 1})], ids=["empty", "text", "pickle"]
)
def test_other_contents_under_a_right_checksum_are_refused(path: Path, body: bytes) -> None:
    path.write_bytes(sealed(body))
    with pytest.raises(CheckpointError, match="was written by another version"):
        read_checkpoint(path)


def test_an_archive_with_objects_is_never_loaded(path: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "exploded",))

    archive = tmp_path / "bomb.npz"
    np.savez(archive, checkpoint=np.array([Bomb()], dtype=object))
    path.write_bytes(sealed(archive.read_bytes()))
    with pytest.raises(CheckpointError, match="was written by another version"):
        read_checkpoint(path)
    assert not (tmp_path / "exploded").exists()


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(tmp_path)


def test_a_class_with_other_fields_is_not_made() -> None:
    packer = Packer(CLASSES)
    plain = packer.pack(a_checkpoint().state)
    del plain["fields"]["windows"]
    with pytest.raises(PlainValueError, match="RunState has other fields here"):
        unpack(plain, packer.arrays, CLASSES)


@pytest.mark.parametrize(
    "plain", [{"is": "os.system", "fields": {}}, {"is": "array", "name": "9"}, {"is": 5}, {}]
)
def test_what_is_not_known_stands_for_nothing(plain: Any) -> None:
    with pytest.raises(PlainValueError, match="stands for nothing"):
        unpack(plain, {}, CLASSES)


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, b"bytes", np.array([object()]), a_head],
    ids=["object", "set", "bytes", "array of objects", "function"],
)
def test_what_was_not_named_is_not_written(value: Any) -> None:
    with pytest.raises(PlainValueError, match="cannot be kept"):
        Packer(named([RunState])).pack([value])


def test_everything_that_the_server_knows_is_of_a_kind_that_can_be_kept() -> None:
    """A new field of a new class would be noticed here, and not by an operator."""
    catalogue = nameless(np.zeros((0, 4), np.float32), "given")
    known = Clustering(run="run-1", k=3, seed=0, effective_mu=1.0, catalogue=catalogue)
    Packer(CLASSES).pack(
        {
            field.name: getattr(known, field.name)
            for field in fields(Clustering)
            if field.name not in ("catalogue", "placed")
        }
    )
