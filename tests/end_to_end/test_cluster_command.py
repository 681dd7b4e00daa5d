"""`fedinterest cluster` as somebody types it who brings embeddings of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.end_to_end.test_command_line import Command, assert_fails, fedinterest

__all__ = ["fedinterest"]

D = 6


def save(path: Path, array: Any) -> Path:
    np.save(path, array)
    return path


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    people = 0.8 * np.eye(3, D)[rng.integers(0, 3, 900)] + 0.05 * rng.standard_normal((900, D))
    return save(tmp_path / "users.npy", people.astype(np.float32))


def test_a_file_of_vectors_becomes_centroids_report_and_ledgers(
    fedinterest: Command, vectors: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    told = fedinterest(
        "cluster", vectors, "--k", "3", "--epsilon", "6", "--silos", "2", "--delta", "1e-5",
        "--trust-model", "central", "--noise", "float", "--seed", "1", "--out", out,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    with np.load(out / "centroids.npz") as archive:
        centroids = archive["centroids"]
    nearest = np.linalg.norm(0.8 * np.eye(3, D)[:, None] - centroids[None], axis=2).min(axis=1)
    assert nearest.max() < 0.1
    report = json.loads((out / "report.json").read_text())
    assert (report["privacy"]["epsilon"], report["privacy"]["delta"]) == (6.0, 1e-5)
    assert report["run"]["n_users"] is None
    assert sorted(path.stem for path in (out / "ledgers").glob("silo*.sqlite")) == [
        "silo-1",
        "silo-2",
    ]
    for file in ("report.html", "centroids.npz"):
        assert file in told.stdout.replace("\n", "")


def test_several_files_are_silos_and_without_privacy_says_so(
    fedinterest: Command, vectors: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    whole = np.load(vectors)
    first, second = save(tmp_path / "a.npy", whole[:500]), save(tmp_path / "b.npy", whole[500:])
    told = fedinterest(
        "cluster", first, second, "--k", "3", "--epsilon", "inf", "--public", vectors,
        "--out", out,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    report = json.loads((out / "report.json").read_text())
    assert report["privacy"]["epsilon"] is None
    assert report["run"]["n_clients"] == 2
    assert "othing is promised" in report["privacy"]["statement"]


def test_the_terminal_tells_the_chosen_k_with_the_noise_of_every_figure(
    fedinterest: Command, vectors: Path, tmp_path: Path
) -> None:
    told = fedinterest(
        "cluster", vectors, "--k", "6", "--choose-k", "--epsilon", "8", "--noise", "seeded",
        "--trust-model", "central", "--out", tmp_path / "out",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert "K = 3 was chosen by the private summary: people fall into 3" in told.stdout
    for line in ("3 clusters of about", "Sizes", "Simplified silhouette", "Users lie"):
        (found,) = [one for one in told.stdout.splitlines() if one.startswith(line)]
        assert "±" in found


WRONG: dict[str, tuple[list[str], list[str]]] = {
    "no such file": (["nobody.npy", "--k", "3", "--epsilon", "1"], ["nobody.npy", "No such file"]),
    "K of one": (["users.npy", "--k", "1", "--epsilon", "1"], ["K is 1", "at least 2"]),
    "negative epsilon": (["users.npy", "--k", "3", "--epsilon", "-1"], ["epsilon", "-1"]),
    "epsilon beyond counting": (["users.npy", "--k", "3", "--epsilon", "1e5"], ["inf is without"]),
    "epsilon nan": (["users.npy", "--k", "3", "--epsilon", "nan"], ["epsilon", "nan"]),
    "delta of one": (
        ["users.npy", "--k", "3", "--epsilon", "1", "--delta", "1"],
        ["delta", "1"],
    ),
    "distributed": (
        ["users.npy", "--k", "3", "--epsilon", "1", "--trust-model", "distributed"],
        ["secure aggregation", "Choose local or central"],
    ),
    "unknown noise": (
        ["users.npy", "--k", "3", "--epsilon", "1", "--noise", "loud"],
        ["'loud'", "discrete, float, seeded"],
    ),
    "not a number": (["nan.npy", "--k", "3", "--epsilon", "1"], ["nan.npy", "row 4"]),
    "other dimensions": (
        ["users.npy", "narrow.npy", "--k", "3", "--epsilon", "1"],
        ["narrow.npy", "5 dimensions", "6"],
    ),
    "other public dimensions": (
        ["users.npy", "--public", "narrow.npy", "--k", "3", "--epsilon", "1"],
        ["narrow.npy", "5 dimensions", "6"],
    ),
    "text": (["text.npy", "--k", "3", "--epsilon", "1"], ["text.npy", "not an array"]),
    "one row only": (["row.npy", "--k", "3", "--epsilon", "1"], ["row.npy", "(6,)"]),
    "nobody": (["empty.npy", "--k", "3", "--epsilon", "1"], ["empty.npy"]),
    "silos of several files": (
        ["users.npy", "copy.npy", "--silos", "3", "--k", "3", "--epsilon", "1"],
        ["silos"],
    ),
    "a file twice": (["users.npy", "users.npy", "--k", "3", "--epsilon", "1"], ["users.npy and"]),
    "private as public": (
        ["users.npy", "--public", "users.npy", "--k", "3", "--epsilon", "1"],
        ["users.npy", "without any noise"],
    ),
    "more silos than users": (
        ["users.npy", "--silos", "901", "--k", "3", "--epsilon", "1"],
        ["901", "900 rows"],
    ),
    "a file of nothing": (["nothing.npy", "--k", "3", "--epsilon", "1"], ["nothing.npy"]),
    "noise beyond integers": (["users.npy", "--k", "3", "--epsilon", "1e-9"], ["1e-09", "wide"]),
    "delta beyond counting": (
        ["users.npy", "--k", "3", "--epsilon", "1", "--delta", "1e-310"],
        ["delta", "1e-310"],
    ),
    "seed beyond scikit-learn's": (
        ["users.npy", "--k", "3", "--epsilon", "1", "--seed", "5000000000"],
        ["seed", "5000000000", "4294967296"],
    ),
    "a bound beyond single precision": (
        ["users.npy", "--k", "3", "--epsilon", "1", "--norm-bound", "1e39"],
        ["norm bound", "1e+39"],
    ),
}


@pytest.mark.parametrize(("arguments", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_clustered_is_told_and_nothing_is_made(
    fedinterest: Command,
    vectors: Path,
    tmp_path: Path,
    arguments: list[str],
    words: list[str],
) -> None:
    broken = np.load(vectors)
    broken[4, 2] = np.nan
    save(tmp_path / "nan.npy", broken)
    save(tmp_path / "narrow.npy", broken[:3, :5])
    save(tmp_path / "row.npy", broken[0])
    save(tmp_path / "empty.npy", broken[:0])
    save(tmp_path / "copy.npy", broken[5:9])
    (tmp_path / "nothing.npy").write_bytes(b"")
    (tmp_path / "text.npy").write_text("a,b\n1,2\n")
    out = tmp_path / "out"
    named = [tmp_path / word if word.endswith(".npy") else word for word in arguments]
    assert_fails(fedinterest("cluster", *named, "--out", out), *words)
    assert not out.exists()


def test_a_folder_that_cannot_be_written_is_told(
    fedinterest: Command, vectors: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    told = fedinterest(
        "cluster", vectors, "--k", "3", "--epsilon", "1", "--out", tmp_path / "file" / "out"
    )
    assert_fails(told, "file")
