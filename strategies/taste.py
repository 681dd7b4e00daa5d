"""What goes with what: directions of taste, and what they make of a history.

a history over the items  ->  how far it goes in each direction  ->  scores of all these items

Made by :mod:`strategies.taste_spectrum` from one private release, pushed back with the cluster
map, applied by each client to its own users' histories.

Formula: a linear filter of a history by the items' second moments, as in ridge regression of
each item on all of them (EASE, Steck 2019), in the directions that rose above the noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from privacy.query import FloatArray, IntArray

Array = NDArray[np.float64]
Product = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]
"""Of two matrices."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Taste:
    """Directions of taste over some of the items.

    Attributes
    ----------
    weights : float32, shape (n_items,)
        What an item counts; zero for those that nobody was asked about.
    directions : float32, shape (m, r)
        Orthonormal; r may be 0, where nothing rose above the noise.
    strengths : float32, shape (r,)
        Between 0 and 1: how far each is followed.
    """

    weights: FloatArray
    directions: FloatArray
    strengths: FloatArray

    def parts(self) -> dict[str, FloatArray]:
        """Return its arrays by name."""
        return {
            "weights": self.weights,
            "directions": self.directions,
            "strengths": self.strengths,
        }

    @cached_property
    def items(self) -> IntArray:
        """The m items that it is about: int64, ascending places in the catalogue."""
        return np.flatnonzero(self.weights)

    def scores(self, history: csr_matrix, product: Product = np.matmul) -> Array:
        """Score items by histories over all of them.

        Parameters
        ----------
        history : sparse, shape (n, n_items)
            Weights of what each user met, not negative.
        product : callable
            One that is exact where a user's scores must not depend on who else is scored.

        Returns
        -------
        float64, shape (n, m)
            Of ``items``; larger is better, zero says nothing.
        """
        n = history.shape[0]
        users = np.repeat(np.arange(n), np.diff(history.indptr))
        place = self._place[history.indices]
        known = place >= 0
        users, place = users[known], place[known]
        weighed = history.data[known] * self._own[place]
        starts = np.searchsorted(users, np.arange(n + 1))
        rows = csr_matrix((weighed, place, starts), shape=(n, len(self.items)))
        lengths = np.sqrt(np.bincount(users, weighed**2, minlength=n))
        along = (rows @ self._directions) * self.strengths
        along /= np.where(lengths > 0, lengths, 1.0)[:, None]
        return np.asarray(product(along, self._directions.T) / self._own)

    @cached_property
    def _own(self) -> Array:
        return self.weights[self.items].astype(np.float64)

    @cached_property
    def _directions(self) -> Array:
        return self.directions.astype(np.float64)

    @cached_property
    def _place(self) -> IntArray:
        """Where each item of the catalogue stands among ``items``; -1 if not."""
        place = np.full(len(self.weights), -1, dtype=np.int64)
        place[self.items] = np.arange(len(self.items))
        return place

    def between(self, ones: IntArray, others: IntArray) -> Array:
        """Return how well items go with others: float64, shape (n, k); zero if not known.

        Parameters
        ----------
        ones : int64, shape (n,)
        others : int64, shape (k,)
            Places in the catalogue.
        """
        found = np.zeros((len(ones), len(others)))
        places, towards = self._place[ones], self._place[others]
        known, asked = places >= 0, towards >= 0
        strong = self._directions[towards[asked]] * self.strengths
        weighed = self._directions[places[known]] * self._own[places[known], None]
        found[np.ix_(known, asked)] = weighed @ strong.T
        return found
