"""Encoded texts are found by content: never computed twice, never taken for another model's."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np

from client.embedding_cache import EmbeddingCache
from privacy.query import FloatArray
from tests.client.examples import FakeEncoder

TEXTS = ["milk", "bread", "tea"]


def test_only_new_texts_are_encoded(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    EmbeddingCache(tmp_path).encode("fake", TEXTS, encoder.encode)
    again = EmbeddingCache(tmp_path).encode("fake", ["cake", *TEXTS], encoder.encode)
    assert encoder.seen == [*TEXTS, "cake"]
    np.testing.assert_array_equal(again, FakeEncoder().encode(["cake", *TEXTS]))


def test_nothing_is_encoded_when_all_is_known(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    cache.encode("fake", TEXTS, FakeEncoder().encode)
    encoder = FakeEncoder()
    cache.encode("fake", TEXTS[::-1], encoder.encode)
    assert encoder.seen == []


def test_another_fingerprint_never_meets_an_old_vector(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    cache.encode("one", TEXTS, FakeEncoder().encode)
    zeros = cache.encode("other", TEXTS, lambda texts: np.zeros((len(texts), 2), np.float32))
    np.testing.assert_array_equal(zeros, np.zeros((3, 2)))


def test_a_text_that_occurs_twice_is_encoded_once_and_returned_twice(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    vectors = EmbeddingCache(tmp_path).encode("fake", ["tea", "milk", "tea"], encoder.encode)
    assert encoder.seen == ["tea", "milk"]
    np.testing.assert_array_equal(vectors, FakeEncoder().encode(["tea", "milk", "tea"]))


def test_vectors_come_back_bit_by_bit(tmp_path: Path) -> None:
    odd = np.array([[np.pi, -0.0, 1e-45, 3.4e38]], np.float32)
    fresh = EmbeddingCache(tmp_path).encode("fake", ["tea"], lambda _: odd)
    kept = EmbeddingCache(tmp_path).encode("fake", ["tea"], FakeEncoder().encode)
    assert fresh.dtype == kept.dtype == np.float32
    assert fresh.tobytes() == kept.tobytes() == odd.tobytes()


def test_what_fails_to_encode_is_not_kept(tmp_path: Path) -> None:
    def fail(texts: Sequence[str]) -> FloatArray:
        raise RuntimeError(f"no model for {len(texts)} texts")

    cache = EmbeddingCache(tmp_path)
    for encode in (fail, FakeEncoder().encode):
        try:
            vectors = cache.encode("fake", TEXTS, encode)
        except RuntimeError:
            continue
    np.testing.assert_array_equal(vectors, FakeEncoder().encode(TEXTS))


def test_threads_that_encode_the_same_texts_agree(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    texts = [f"bake {number}" for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(cache.encode, "fake", texts, FakeEncoder().encode) for _ in range(8)]
    for job in jobs:
        np.testing.assert_array_equal(job.result(), FakeEncoder().encode(texts))


def test_processes_share_one_cache(tmp_path: Path) -> None:
    script = (
        "import sys, numpy; from pathlib import Path\n"
        "from client.embedding_cache import EmbeddingCache\n"
        "encode = lambda texts: numpy.array([[len(text)] for text in texts], 'f')\n"
        "print(EmbeddingCache(Path(sys.argv[1])).encode('fake', ['tea', 'milk'], encode).tolist())"
    )
    EmbeddingCache(tmp_path)
    command = [sys.executable, "-c", script, str(tmp_path)]
    jobs = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    assert {job.communicate()[0] for job in jobs} == {b"[[3.0], [4.0]]\n"}


def test_opening_the_cache_waits_for_another_process_that_is_making_it(tmp_path: Path) -> None:
    file = tmp_path / "embeddings.sqlite"
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = threading.Timer(0.2, other.execute, ["COMMIT"])
        done.start()
        try:
            EmbeddingCache(tmp_path)
        finally:
            done.join()
