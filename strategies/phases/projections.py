"""What goes with what, found by several small questions instead of one large one."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from strategies.aggregation import NoisySum
from strategies.clustering import Clustering, single_precision
from strategies.item_space import Space
from strategies.phases.phase import Phase
from strategies.questions import Question, TasteProjection
from strategies.taste_spectrum import item_weights
from strategies.taste_subspace import Subspace, first_subspace


@final
class TasteRounds:
    """What the rounds of a run know in common.

    Parameters
    ----------
    spent : float
        Part of the run's mu^2 that popularity and taste spend together: decides how many
        items are asked about.
    most_items : int
        At most so many.
    directions : int
        Of each round; fewer where there are not so many items.
    space : Space
        In which clusters are looked for from then on.

    Attributes
    ----------
    subspace : Subspace, optional
        None before the first round.
    """

    def __init__(
        self, *, spent: float, most_items: int, directions: int, space: Space = Space.TEXT
    ) -> None:
        self.spent = spent
        self.most_items = most_items
        self.directions = directions
        self.space = space
        self.subspace: Subspace | None = None

    def kept(self) -> dict[str, Any]:
        """Return what an interrupted run needs to go on."""
        return {"subspace": self.subspace}

    def restore(self, kept: dict[str, Any]) -> None:
        """Know again what :meth:`kept` returned."""
        self.subspace = kept["subspace"]

    def begin(self, known: Clustering) -> None:
        """Choose the items and the first directions, from what is public or popular."""
        mu = known.effective_mu * np.sqrt(self.spent)
        weights = item_weights(known.popularity, known.users, mu, most=self.most_items)
        count = min(self.directions, int(np.count_nonzero(weights)) - 1)
        self.subspace = first_subspace(
            weights, known.popularity, known.users, known.catalogue.vectors, count
        )

    @property
    def begun(self) -> Subspace:
        """What is known of the subspace.

        Raises
        ------
        RuntimeError
            If no round was asked yet.
        """
        if self.subspace is None:
            raise RuntimeError("The first round of taste was not asked. Nothing was absorbed.")
        return self.subspace


@final
class TasteRound(Phase):
    """One round of subspace iteration: products of items with a few directions.

    Parameters
    ----------
    name, share
    rounds : TasteRounds
        Of all of them.
    first, last : bool
        Whether to begin with public directions; whether taste is made of all rounds after it.
    """

    asks = TasteProjection

    def __init__(
        self,
        name: str,
        share: float,
        rounds: TasteRounds,
        *,
        first: bool = False,
        last: bool = False,
    ) -> None:
        super().__init__(name, share)
        self.rounds = rounds
        self.first = first
        self.last = last

    @property
    def memory(self) -> TasteRounds:
        """What the rounds know in common."""
        return self.rounds

    def ask(self, known: Clustering) -> Question:
        """Ask along the directions in which people have most, as far as is known."""
        if self.first:
            self.rounds.begin(known)
        subspace = self.rounds.begun
        return TasteProjection(
            weights=subspace.weights,
            directions=single_precision(subspace.directions),
            length=subspace.length,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Turn the directions; after the last round keep those that rise above the noise."""
        subspace = self.rounds.begun
        m, r = subspace.directions.shape
        sums = answer.sums["projected"][0].reshape(m, r)
        subspace.absorb(sums, answer.sigma, known.users)
        if self.last:
            known.taste = subspace.taste(known.users)
            known.enter(self.rounds.space)
