"""In which space clusters are looked for: the one that tells people's latest items best.

taste, popularity (released), texts (public)  ->  rough groups in each space
released gains                                ->  the space
"""

from __future__ import annotations

from typing import final

import numpy as np

from strategies.aggregation import NoisySum
from strategies.clustering import PUBLIC_PER_CLUSTER, Clustering, single_precision
from strategies.groupings import group_lifts
from strategies.item_space import Space, space_of
from strategies.phases.phase import Array, Phase
from strategies.questions import GroupingGains, Question


@final
class SpaceChoice(Phase):
    """Which space is made of what people take up.

    The groups are of public items, and cost nothing: what is paid for is the comparison.
    """

    asks = GroupingGains
    is_needed = False

    SPACES = (Space.TEXT, Space.TASTE, Space.BOTH)
    """The first one is what the others are compared with."""
    MOST_GROUPS = 16
    LARGEST = 0.05
    """Clipping norm of a user's differences. Their mean over the norm, on MovieLens' second-last
    items, is as large at .02, a tenth smaller at .1, and a third smaller at .2."""

    def ask(self, known: Clustering) -> Question:
        """Ask by how much each space's groups tell the latest items better than texts' do."""
        items = known.taste.weights > 0 if known.taste else known.popularity > 0
        popularity = known.popularity[items]
        k = max(1, min(known.k, self.MOST_GROUPS, len(popularity) // PUBLIC_PER_CLUSTER))
        lifts = [
            group_lifts(self._vectors(known, space)[items], popularity, k, seed=known.seed)
            for space in self.SPACES
        ]
        return GroupingGains(
            items=items.astype(np.float32),
            logs=single_precision(np.log(popularity)),
            lifts=single_precision(np.array(lifts)),
            largest=self.LARGEST,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Go on in the space whose groups told the latest items best.

        Where taste knows no direction all spaces are that of texts, and nothing was compared.
        """
        if space_of(Space.BOTH, known.taste) is None:
            known.enter(Space.BOTH)  # says why clusters are of texts
            return
        gains = [0.0, *(answer.sums["gains"][0] / known.users).tolist()]
        known.space_gains = dict(zip(self.SPACES[1:], gains[1:], strict=True))
        known.space_gains_noise = answer.sigma / known.users
        known.enter(self.SPACES[int(np.argmax(gains))])

    @staticmethod
    def _vectors(known: Clustering, space: Space) -> Array:
        text = known.catalogue.vectors
        there = space_of(space, known.taste)
        return (text if there is None else there.of_items(text)).astype(np.float64)
