"""A small public catalogue and users whose clusters are known."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.clustering import Clustering
from strategies.public_catalogue import PublicCatalogue

DIM = 12
GROUPS = ("bread", "fruit", "soap")


def unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)


@pytest.fixture(scope="session")
def catalogue() -> PublicCatalogue:
    """Thirty items in three categories, each category around a direction of its own."""
    rng = np.random.default_rng(0)
    centres = np.eye(DIM)[: len(GROUPS)]
    vectors = np.repeat(centres, 10, axis=0) + 0.15 * rng.standard_normal((30, DIM))
    return PublicCatalogue(
        fingerprint="catalogue-1",
        encoder="encoder-1",
        encoder_name="fake",
        device="cpu",
        item_ids=[f"{group} {number}" for group in GROUPS for number in range(10)],
        texts=[f"{group} number {number}" for group in GROUPS for number in range(10)],
        categories=[f"SHOP > {group.upper()}" for group in GROUPS for _ in range(10)],
        vectors=unit(vectors),
    )


@pytest.fixture(scope="session")
def people() -> np.ndarray:
    """Three thousand unit vectors, most of them of the first kind: float32, (3000, DIM)."""
    rng = np.random.default_rng(1)
    kinds = rng.choice(3, size=3000, p=[0.6, 0.3, 0.1])
    return unit(np.eye(DIM)[kinds] + 0.2 * rng.standard_normal((3000, DIM)))


@pytest.fixture
def known(catalogue: PublicCatalogue) -> Clustering:
    """What the server knows before the first round."""
    return Clustering(run="run-1", k=3, seed=0, effective_mu=1.0, catalogue=catalogue)
