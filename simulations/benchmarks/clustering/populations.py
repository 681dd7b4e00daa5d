"""Populations to cluster: users as vectors, public vectors, and the truth where there is one.

name, number of users, data seed  ->  Population

One row is one user. Public vectors are never users.
"""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from client.catalogue_encoding import encode_public
from client.embedding_cache import EmbeddingCache
from client.encoder import Encoder
from client.settings import DEFAULT_ENCODER
from privacy.query import FloatArray
from simulations.datasets import BUNDLED

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

CACHE = Path("runs") / "cache"
SECOND_INTEREST = 1
MAIN_INTEREST = 2
"""A user mixes so many items of a main interest with one of a second."""
POWER = 0.8
"""Interest number i is as popular as i^-0.8."""
PUBLIC_ITEMS = 400


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """Users and what is public.

    Attributes
    ----------
    name : str
    vectors : float32, shape (n_users, d)
    k : int
        Number of clusters to find.
    norm_bound : float
        Public bound of the vectors' norms.
    public : float32, shape (n_public, d), optional
    truth : int64, shape (n_users,), optional
        The component that each user was drawn from.
    """

    name: str
    vectors: FloatArray = field(repr=False)
    k: int
    norm_bound: float
    public: FloatArray | None = field(default=None, repr=False)
    truth: Labels | None = field(default=None, repr=False)


def mixture(n: int, seed: int) -> Population:
    """Draw FedDP-KMeans' mixture: 10 Gaussians in 100 dimensions, means in the unit cube.

    Scott, Lampert and Saulpic (2025), section 5. Public: 20 points of each
    component and 100 anywhere in the cube.
    """
    rng = np.random.default_rng((1, seed))
    means = rng.uniform(0, 1, (10, 100))
    truth = rng.integers(0, 10, n)
    spread = np.sqrt(0.5)
    vectors = means[truth] + spread * rng.standard_normal((n, 100))
    known = np.repeat(means, 20, axis=0) + spread * rng.standard_normal((200, 100))
    public = np.vstack([known, rng.uniform(0, 1, (100, 100))])
    return Population(
        name="mixture",
        vectors=_single(vectors),
        k=10,
        norm_bound=11.0,
        public=_single(public),
        truth=truth,
    )


def separated(n: int, seed: int) -> Population:
    """Draw ten Gaussians that hardly overlap, in 100 dimensions; nothing is public."""
    rng = np.random.default_rng((2, seed))
    means = rng.standard_normal((10, 100))
    means *= 0.7 / np.linalg.norm(means, axis=1, keepdims=True)
    truth = rng.integers(0, 10, n)
    vectors = means[truth] + 0.025 * rng.standard_normal((n, 100))
    return Population(name="separated", vectors=_single(vectors), k=10, norm_bound=1.0, truth=truth)


def s1_like(n: int, seed: int) -> Population:
    """Draw 15 Gaussians in the plane, as in the set S1 (Franti and Virmajoki 2006)."""
    rng = np.random.default_rng((3, seed))
    centres: list[Array] = []
    while len(centres) < 15:
        centre = rng.uniform(-0.85, 0.85, 2)
        if all(np.linalg.norm(centre - other) > 0.3 for other in centres):
            centres.append(centre)
    truth = rng.integers(0, 15, n)
    vectors = np.clip(np.array(centres)[truth] + 0.06 * rng.standard_normal((n, 2)), -1, 1)
    return Population(
        name="S1-like", vectors=_single(vectors), k=15, norm_bound=np.sqrt(2.0), truth=truth
    )


def g2_like(n: int, seed: int) -> Population:
    """Draw two Gaussians in 128 dimensions, as in the set G2-128-50 (Franti et al. 2016)."""
    rng = np.random.default_rng((4, seed))
    truth = rng.integers(0, 2, n)
    vectors = (np.where(truth, 50.0, -50.0)[:, None] + 50 * rng.standard_normal((n, 128))) / 300
    return Population(name="G2-like", vectors=_single(vectors), k=2, norm_bound=4.0, truth=truth)


def embeddings(n: int, seed: int, *, interests: int = 40, k: int = 20) -> Population:
    """Draw users of real texts: each the mean of a few items' embeddings, of unit norm.

    A user takes two items of a main interest and one of a second; how popular
    interests are follows a power law. Public: raw items, which lie further out.
    """
    items, groups = catalogue_items(interests)
    rng = np.random.default_rng((5, interests, seed))
    popularity = np.arange(1, interests + 1) ** -POWER
    popularity = np.random.default_rng(5).permutation(popularity / popularity.sum())
    members = [np.flatnonzero(groups == group) for group in range(interests)]
    main = rng.choice(interests, n, p=popularity)
    second = rng.choice(interests, n, p=popularity)
    total = np.zeros((n, items.shape[1]))
    for group in range(interests):
        for chosen, count in ((main, MAIN_INTEREST), (second, SECOND_INTEREST)):
            users = np.flatnonzero(chosen == group)
            for _ in range(count):
                total[users] += items[rng.choice(members[group], len(users))]
    return Population(
        name=f"embeddings-{interests}",
        vectors=_unit(total),
        k=k,
        norm_bound=1.0,
        public=items[rng.choice(len(items), PUBLIC_ITEMS, replace=False)],
        truth=main,
    )


def shifted(n: int, seed: int) -> Population:
    """Draw users of the catalogue's texts, with other texts for public ones: docstrings."""
    population = embeddings(n, seed)
    return Population(
        name="shifted",
        vectors=population.vectors,
        k=population.k,
        norm_bound=1.0,
        public=other_texts(),
        truth=population.truth,
    )


def without_public(draw: Callable[[int, int], Population]) -> Callable[[int, int], Population]:
    """Return the same population without public vectors."""

    def drawn(n: int, seed: int) -> Population:
        with_public = draw(n, seed)
        return Population(
            name=f"{with_public.name}, nothing public",
            vectors=with_public.vectors,
            k=with_public.k,
            norm_bound=with_public.norm_bound,
            truth=with_public.truth,
        )

    return drawn


@cache
def catalogue_items(interests: int) -> tuple[FloatArray, Labels]:
    """Return the bundled catalogue's vectors, and the interest that each belongs to."""
    public = encode_public(BUNDLED / "catalogue.parquet", Encoder(DEFAULT_ENCODER), CACHE.resolve())
    groups = KMeans(interests, n_init=2, random_state=0).fit_predict(public.vectors)
    return public.vectors, groups.astype(np.int64)


@cache
def other_texts() -> FloatArray:
    """Return vectors of the first lines of Python's own documentation, of unit norm."""
    encoder = Encoder(DEFAULT_ENCODER)
    lines = docstring_lines(PUBLIC_ITEMS)
    cache = EmbeddingCache(CACHE.resolve())
    vectors = cache.encode(encoder.fingerprint, lines, encoder.encode)
    return _unit((vectors - vectors.mean(axis=0)).astype(np.float64))


def docstring_lines(count: int) -> list[str]:
    """Return first lines of docstrings of the standard library, the same on every machine."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    lines = set()
    for path in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                first = (ast.get_docstring(node) or "").partition("\n")[0].strip()
                if len(first.split()) >= 4:
                    lines.add(first)
    ordered = sorted(lines)
    chosen = np.random.default_rng(6).choice(len(ordered), count, replace=False)
    return [ordered[index] for index in sorted(chosen)]


def _unit(vectors: Array) -> FloatArray:
    norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return _single(vectors / norms)


def _single(vectors: Array) -> FloatArray:
    return np.ascontiguousarray(vectors, dtype=np.float32)
