"""Users who come as finished vectors: embeddings that somebody else has made.

vectors (n_users, d)  ->  divided by the norm bound, the longer ones shortened to it  ->  users

For those who bring their own embeddings.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_matrix

from client.feedback import Feedback
from privacy.query import FloatArray
from privacy.row_norms import squared_norms

ROUNDING = np.float32(1e-6)
"""By how much of it a norm may exceed its bound; the door's clipping is exact all the same."""


@dataclass(frozen=True, eq=False)
class VectorUsers:
    """Users who are vectors and nothing else. Private.

    Attributes
    ----------
    given : float32, shape (n_users, d)
        Finite, of any norm; never copied as a whole.
    norm_bound : float
        Public: longer vectors are shortened to it.
    """

    given: FloatArray = field(repr=False)
    norm_bound: float = 1.0

    @property
    def vectors(self) -> FloatArray:
        """What was given over the norm bound, the longer ones shortened: float32, (n_users, d)."""
        return within_unit_ball(self.given, self.norm_bound)

    @property
    def last_days(self) -> csr_matrix:
        """No item was ever met: shape (n_users, 0)."""
        return csr_matrix((len(self), 0))

    @property
    def feedback(self) -> Feedback | None:
        """Nothing was ever shown to them."""
        return None

    @property
    def item_vectors(self) -> FloatArray:
        """There are no items: shape (0, d)."""
        return self.given[:0]

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self.given)

    def part(self, users: slice) -> VectorUsers:
        """Return some of them."""
        return VectorUsers(self.given[users], self.norm_bound)


def within_unit_ball(vectors: FloatArray, norm_bound: float) -> FloatArray:
    """Return ``vectors / norm_bound``, the longer ones shortened to norm 1: float32.

    Each row depends on itself alone. One that is longer by no more than rounding makes
    it, as unit vectors in single precision are, stays so. The door clips all of them.
    """
    norms = np.sqrt(squared_norms(vectors))
    bound = np.float32(norm_bound)
    divisors = np.where(norms <= bound * (1 + ROUNDING), bound, norms)
    if (divisors == 1).all():
        return vectors
    return np.ascontiguousarray(vectors / divisors[:, None])
