"""Somebody says what they are interested in: a history before there is much of one.

stated interests  ->  well-known items close to each  ->  as if they were met before all others

So everything that knows what to do with a history knows what to do with somebody new; as real
items come, they are the newer ones and count more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from privacy.query import FloatArray

NEAR = 20
"""So many items are close to an interest."""
WELL_KNOWN = 3
"""So many of those, the most popular ones, stand for it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StatedInterests:
    """What somebody says they are interested in.

    Attributes
    ----------
    texts : sequence of str, length m
        In their words.
    vectors : float32, shape (m, d)
        Unit vectors in the space of the items'.
    """

    texts: Sequence[str]
    vectors: FloatArray

    def stand_ins(self, item_vectors: FloatArray, popularity: FloatArray) -> dict[int, str]:
        """Return items that stand for the interests, the first interest's first, and for which.

        Parameters
        ----------
        item_vectors : float32, shape (n_items, d)
        popularity : float32, shape (n_items,)
            Released.
        """
        found: dict[int, str] = {}
        for text, row in zip(self.texts, self.vectors @ item_vectors.T, strict=True):
            near = np.argsort(-row, kind="stable")[:NEAR]
            known = near[np.argsort(-popularity[near], kind="stable")[:WELL_KNOWN]]
            for item in known.tolist():
                found.setdefault(item, text)
        return found


def with_stand_ins(own: csr_matrix, stand_ins: Sequence[int]) -> csr_matrix:
    """Return a history in which stand-ins come before everything that was met.

    Parameters
    ----------
    own : sparse, shape (1, n_items)
        Days since each own item was met; may be empty.
    stand_ins : sequence of int
        Items that were not met; the first are the latest.

    Returns
    -------
    sparse float64, shape (1, n_items)
    """
    oldest = float(own.data.max(initial=0.0))
    days = np.concatenate([own.data, oldest + 1 + np.arange(len(stand_ins))])
    items = np.concatenate([own.indices, np.array(stand_ins, dtype=own.indices.dtype)])
    return csr_matrix((days, (np.zeros(len(items), np.int64), items)), shape=own.shape)
