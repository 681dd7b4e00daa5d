"""What goes with what: directions of taste, and what they make of a history.

a history over the items  ->  how far it goes in each direction  ->  scores of all these items

Made by :mod:`strategies.taste_spectrum` from one private release, pushed back with the cluster
map, applied by each client to its own users' histories.

Formula: a linear filter of a history by the items' second moments, as in ridge regression of
each item on all of them (EASE, Steck 2019), in the directions that rose above the noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from privacy.query import FloatArray, IntArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
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

    @property
    def items(self) -> IntArray:
        """The m items that it is about: int64, ascending places in the catalogue."""
        return np.flatnonzero(self.weights)

    def scores(self, history: csr_matrix) -> Array:
        """Score items by histories over all of them.

        Parameters
        ----------
        history : sparse, shape (n, n_items)
            Weights of what each user met, not negative.

        Returns
        -------
        float64, shape (n, m)
            Of ``items``; larger is better, zero says nothing.
        """
        own = self.weights[self.items].astype(np.float64)
        rows = history[:, self.items]
        along = (rows @ (own[:, None] * self.directions)) * self.strengths
        lengths = np.sqrt(rows.multiply(rows) @ own**2)
        along /= np.where(lengths > 0, lengths, 1.0)[:, None]
        return np.asarray(along @ self.directions.T / own, dtype=np.float64)

    def between(self, ones: IntArray, other: int) -> Array:
        """Return how well items go with another: float64, shape (n,); zero if not known.

        Parameters
        ----------
        ones : int64, shape (n,)
            Places in the catalogue.
        other : int
        """
        items = self.items
        found = np.zeros(len(ones))
        place = np.searchsorted(items, other)
        if place == len(items) or items[place] != other:
            return found
        places = np.minimum(np.searchsorted(items, ones), len(items) - 1)
        known = items[places] == ones
        towards = self.strengths * self.directions[place]
        found[known] = self.directions[places[known]] @ towards * self.weights[ones[known]]
        return found
