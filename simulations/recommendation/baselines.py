"""What a recommendation has to be compared with: simple rankings, private and not.

``noisy_popularity`` may spend the whole budget on popularity alone: the bar to be passed.
``random_clusters`` are what a clustering that means nothing would give for the same. ``content``
needs no release. ``ease``, ``item_neighbours`` and ``factorised`` know everything about everybody:
what privacy costs.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from simulations.recommendation.splits import Split
from strategies.aggregation import NoisySum
from strategies.clustering import Clustering
from strategies.phases.description import Items

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Score = Callable[[Ints], Floats]

EASE_RIDGES = (100.0, 300.0, 1000.0, 3000.0)
NEIGHBOURS = 100
ALS_FACTORS = 64


def noisy_popularity(split: Split, mu: float, seed: int, *, latest: int | None = None) -> Score:
    """Return popularity with the whole budget: everybody's unit row over their items, and noise.

    Parameters
    ----------
    split : Split
    mu : float
        Gaussian-DP parameter; the rows' sum has sensitivity 1.
    seed : int
    latest : int, optional
        Only so many latest items of everybody count.
    """
    met = _latest(split, latest) if latest else split.met
    noise = np.random.default_rng(seed).normal(0, 1 / mu, met.shape[1])
    everybody = np.asarray(_unit_rows(met).sum(axis=0)).ravel() + noise
    return lambda users: np.tile(everybody, (len(users), 1))


def random_clusters(split: Split, mu: float, seed: int, k: int) -> Score:
    """Return what each of k random clusters goes for, with the whole budget.

    Everybody's unit row over their items goes into the own cluster's row and into
    everybody's, as in a run's question about items, and the sums are shrunk as a run's are:
    of a cluster that means nothing, shrinking should leave what is popular.

    Parameters
    ----------
    split : Split
    mu : float
        Gaussian-DP parameter; the sums have sensitivity 1 together.
    seed : int
    k : int
    """
    rng = np.random.default_rng(seed)
    met = split.met
    n = met.shape[0]
    own = rng.integers(0, k, n)
    rows = _unit_rows(met)
    weights = {"by_cluster": Items.CLUSTER_WEIGHT, "overall": (1 - Items.CLUSTER_WEIGHT**2) ** 0.5}
    member = csr_matrix((np.ones(n), (own, np.arange(n))), shape=(k, n))
    exact = {"by_cluster": (member @ rows).toarray(), "overall": np.asarray(rows.sum(axis=0))}
    noisy = {
        name: weights[name] * sums + rng.normal(0, 1 / mu, sums.shape)
        for name, sums in exact.items()
    }
    catalogue = split.behaviour.catalogue
    known = Clustering(run="random", k=k, seed=seed, effective_mu=mu, catalogue=catalogue)
    Items("items", 1.0).absorb(known, NoisySum(noisy, 1 / mu))
    return lambda users: known.item_weights[own[users]]


def content(split: Split) -> Score:
    """Return closeness of texts to the user's interest vector; nothing is released for it."""
    vectors = split.behaviour.catalogue.vectors
    return lambda users: (split.profiles.vectors[users] @ vectors.T).astype(np.float64)


def ease(split: Split, ridge: float) -> Score:
    """Return EASE's scores (Steck 2019): a ridge regression of every item on all others."""
    met = split.met
    gram = np.asarray((met.T @ met).todense(), dtype=np.float64)
    gram[np.diag_indices_from(gram)] += ridge
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return lambda users: np.asarray(met[users] @ weights)


def item_neighbours(split: Split) -> Score:
    """Return cosine similarity with the user's items, each item's 100 nearest ones."""
    met = split.met
    lengths = np.sqrt(np.asarray(met.sum(axis=0)).ravel())
    scaled = met @ diags(1 / np.maximum(lengths, 1.0))
    cosines = np.asarray((scaled.T @ scaled).todense())
    np.fill_diagonal(cosines, 0.0)
    if len(cosines) > NEIGHBOURS:
        least = np.partition(cosines, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS, None]
        cosines = np.where(cosines >= least, cosines, 0.0)
    return lambda users: np.asarray(met[users] @ cosines.T)


def factorised(split: Split, kind: str, seed: int = 0) -> Score:
    """Return ``implicit``'s scores: alternating least squares, or BPR.

    Raises
    ------
    ImportError
        If the package is not installed: ``pip install "fedinterest[references]"``.
    """
    met = split.met.astype(np.float32)
    if kind == "als":
        model = import_module("implicit.als").AlternatingLeastSquares(
            factors=ALS_FACTORS, regularization=10.0, alpha=2.0, iterations=15, random_state=seed
        )
    else:
        model = import_module("implicit.bpr").BayesianPersonalizedRanking(
            factors=ALS_FACTORS, learning_rate=0.05, iterations=100, random_state=seed
        )
    model.fit(met, show_progress=False)
    return lambda users: (model.user_factors[users] @ model.item_factors.T).astype(np.float64)


def _unit_rows(met: csr_matrix) -> csr_matrix:
    lengths = np.sqrt(np.asarray(met.sum(axis=1)).ravel())
    return csr_matrix(diags(1 / np.maximum(lengths, 1.0)) @ met)


def _latest(split: Split, count: int) -> csr_matrix:
    last = split.profiles.last_days
    users = np.repeat(np.arange(last.shape[0]), np.diff(last.indptr))
    order = np.lexsort((last.indices, last.data, users))
    kept = order[np.arange(last.nnz) - last.indptr[users] < count]
    return csr_matrix((np.ones(len(kept)), (users[kept], last.indices[kept])), shape=last.shape)
