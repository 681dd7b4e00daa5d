"""A client whose users come as finished vectors: embeddings that somebody else has made.

vectors (n_users, d)  ->  divided by the norm bound, the longer ones shortened to it  ->  users

For those who bring their own embeddings. Everything is answered through the
same door as a region with events.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_matrix

from privacy.door import Door
from privacy.policy import Policy
from privacy.query import FloatArray
from privacy.row_norms import squared_norms
from privacy.window import Window
from strategies.cluster_map import ClusterMap

ROUNDING = np.float32(1e-6)
"""By how much of it a norm may exceed its bound; the door's clipping is exact all the same."""


@dataclass(frozen=True, eq=False)
class VectorUsers:
    """Users who are vectors and nothing else. Private.

    Attributes
    ----------
    given : float32, shape (n_users, d)
        Of any norm; never copied as a whole.
    norm_bound : float
        Public.
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

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self.given)

    def part(self, users: slice) -> VectorUsers:
        """Return some of them."""
        return VectorUsers(self.given[users], self.norm_bound)


@dataclass(eq=False, kw_only=True)
class VectorSilo:
    """One client with its users' vectors and its door.

    Attributes
    ----------
    vectors : float32, shape (n_users, d)
        Finite; of any norm.
    norm_bound : float
        Public: longer vectors are shortened to it.
    door : Door
    catalogue_fingerprint : str
        Of the public vectors that the server starts from.
    pushed : ClusterMap, optional
        The map that was pushed back.
    """

    vectors: FloatArray = field(repr=False)
    norm_bound: float
    door: Door
    catalogue_fingerprint: str
    pushed: ClusterMap | None = None

    encoder_fingerprint = "given-vectors"
    n_items = 0

    @property
    def dim(self) -> int:
        """Dimensions of the vectors."""
        return int(self.vectors.shape[1])

    @property
    def everybody(self) -> VectorUsers:
        """All users. Private."""
        return VectorUsers(self.vectors, self.norm_bound)

    def users_for(self, policy: Policy, window: Window) -> VectorUsers:
        """Return all users: their vectors do not depend on the window. Private."""
        return self.everybody

    def keep(self, pushed: ClusterMap) -> None:
        """Keep the pushed-back map."""
        self.pushed = pushed


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
