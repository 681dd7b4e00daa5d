"""How close items' texts are to a history's: each own item speaks for what is close to it.

recency-weighted histories  +  item vectors  ->  closeness of the candidates

Who reads about cooking and about cars is close to both, and not to what lies between them. Large
catalogues are compared with a history's mean vector instead: comparing all with each other would
take too much memory.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from privacy.query import FloatArray, IntArray
from privacy.row_norms import squared_norms
from strategies.taste import Product

Scores = NDArray[np.float64]

SHARPNESS = 8.0
"""How quickly closeness falls off with the cosine of two items' vectors."""
MOST_COMPARED = 5000
"""Items; of a larger catalogue a history's mean vector stands for it."""


class TextCloseness:
    """Compares histories with candidates by their texts.

    Parameters
    ----------
    item_vectors : float32, shape (n_items, d)
        Unit vectors.
    often : int64, shape (m,), optional
        Ascending places of items that are candidates time and again: their vectors are kept
        side by side.
    """

    def __init__(self, item_vectors: FloatArray, often: IntArray | None = None) -> None:
        self.item_vectors = item_vectors
        self._often = np.zeros(0, np.int64) if often is None else often

    def of(self, history: csr_matrix, candidates: IntArray, product: Product = np.matmul) -> Scores:
        """Return how close candidates are to each history.

        The root of the sum of ``exp(SHARPNESS * cosine)`` over the history's items, or the
        cosine with their mean vector. (A root is rounded alike everywhere, a logarithm is not.)

        Parameters
        ----------
        history : sparse, shape (n, n_items)
            Weights of what each user met.
        candidates : int64, shape (c,)
            Ascending places in the catalogue.
        product : Product
            Of vectors.

        Returns
        -------
        float64, shape (n, c)
            Of an item in the history it means nothing.
        """
        history = history.astype(np.float32)  # else all vectors become double
        if not self.compares_all:
            return self._to_the_mean(history, candidates, product)
        everything = len(candidates) == len(self.item_vectors)
        compared = self.compared if everything else self.compared[:, candidates]
        return np.sqrt(np.asarray(history @ compared, dtype=np.float64))

    @property
    def compares_all(self) -> bool:
        """Whether the catalogue is small enough to compare all items with each other."""
        return len(self.item_vectors) <= MOST_COMPARED

    @cached_property
    def compared(self) -> FloatArray:
        """How close items are to each other: float32, shape (n_items, n_items); zero to itself."""
        cosines = self.item_vectors @ self.item_vectors.T
        close: FloatArray = np.exp(SHARPNESS * cosines)
        np.fill_diagonal(close, 0.0)
        return close

    def _to_the_mean(self, history: csr_matrix, candidates: IntArray, product: Product) -> Scores:
        own = history @ self.item_vectors
        lengths = np.sqrt(squared_norms(own))[:, None]
        own = own / np.where(lengths > 0, lengths, np.float32(1))
        if not len(self._often):
            return np.asarray(product(own, self.item_vectors[candidates].T), np.float64)
        place = np.minimum(np.searchsorted(self._often, candidates), len(self._often) - 1)
        kept = self._often[place] == candidates
        found = np.empty((len(own), len(candidates)))
        found[:, kept] = product(own, self._often_vectors.T)[:, place[kept]]
        found[:, ~kept] = product(own, self.item_vectors[candidates[~kept]].T)
        return found

    @cached_property
    def _often_vectors(self) -> FloatArray:
        return self.item_vectors[self._often]
