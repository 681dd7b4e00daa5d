"""What people go for: which items are popular, ever and lately, and what goes with what."""

from __future__ import annotations

from typing import final

import numpy as np

from privacy.query import FloatArray
from strategies.aggregation import NoisySum
from strategies.clustering import Clustering
from strategies.item_space import Space
from strategies.phases.phase import Array, Phase
from strategies.question_kinds.items import MOST_TASTE_ITEMS
from strategies.questions import ItemPopularity, Question, TasteMoments
from strategies.taste_spectrum import item_weights, taste_above_noise


@final
class Popularity(Phase):
    """Which items people take up, ever and, if wanted, lately.

    Parameters
    ----------
    name, share
    latest : int
        So many of a user's latest items tell what is popular lately; 0: that is not asked.
    """

    asks = ItemPopularity

    FLOOR = 0.05
    """Of the mean; no item is known to be rarer."""

    def __init__(self, name: str, share: float, *, latest: int = 0) -> None:
        super().__init__(name, share)
        self.latest = latest

    def ask(self, known: Clustering) -> Question:
        """Ask for everybody's items, and for everybody's latest ones."""
        return self._question(known)

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Shrink both to what is known of items in general, as far as the noise asks."""
        length = self._question(known).length
        noise = (answer.sigma / length) ** 2
        known.popularity = self._positive(answer.sums["ever"][0] / length, noise)
        if self.latest:
            latest = self._positive(answer.sums["latest"][0] / length, noise)
            known.recent_popularity = latest * known.popularity.sum() / latest.sum()

    def _question(self, known: Clustering) -> ItemPopularity:
        return ItemPopularity(n_items=len(known.catalogue.item_ids), latest=self.latest)

    def _positive(self, counts: Array, noise: float) -> Array:
        found = shrunk(counts, noise)
        return np.maximum(found, self.FLOOR * max(float(found.mean()), 1e-9))


@final
class Tastes(Phase):
    """What goes with what, among the items that are popular enough to tell.

    Parameters
    ----------
    name, share
    spent : float
        Part of the run's mu^2 that popularity and taste spend together: decides how many
        items are asked about.
    space : Space
        In which clusters are looked for from then on.
    most_items : int
        As many products as these have, a client is ready to send.
    """

    asks = TasteMoments

    def __init__(
        self,
        name: str,
        share: float,
        *,
        spent: float,
        space: Space = Space.TEXT,
        most_items: int = MOST_TASTE_ITEMS,
    ) -> None:
        super().__init__(name, share)
        self.spent = spent
        self.space = space
        self.most_items = most_items

    def ask(self, known: Clustering) -> Question:
        """Ask for products of items."""
        return TasteMoments(weights=self._weights(known))

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Keep the directions that rise above the noise."""
        triangle, weights = answer.sums["moments"][0], self._weights(known)
        known.taste = taste_above_noise(triangle, answer.sigma, known.users, weights)
        known.enter(self.space)

    def _weights(self, known: Clustering) -> FloatArray:
        """Return what each item counts, from what is popular."""
        mu = known.effective_mu * np.sqrt(self.spent)
        return item_weights(known.popularity, known.users, mu, most=self.most_items)


def shrunk(counts: Array, noise: float) -> Array:
    """Return noisy counts drawn towards their mean: normal ones, of known noise variance.

    Formula: empirical Bayes (Efron and Morris 1973).
    """
    mean = counts.mean()
    spread = max(float(counts.var()) - noise, 0.0)
    return np.asarray(mean + (counts - mean) * spread / max(spread + noise, 1e-300))
