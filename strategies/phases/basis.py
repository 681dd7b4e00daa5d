"""In which directions people differ.

noisy second moments (+ the catalogue's)  ->  directions and their variances  ->  first cells
"""

from __future__ import annotations

from typing import final

import numpy as np

from strategies.aggregation import NoisySum
from strategies.clustering import Clustering, nowhere, single_precision
from strategies.directions import (
    Directions,
    directions_above_noise,
    principal_directions,
    random_directions,
    refine_public,
)
from strategies.initialization import drawn_candidates, public_candidates
from strategies.phases.phase import Array, Phase
from strategies.questions import Question, SecondMoments


@final
class Basis(Phase):
    """In which directions people differ; then the summary's candidates, for free.

    With a catalogue, public directions are turned towards people's as far as the
    moments deserve; without one, the moments alone have to tell.

    Parameters
    ----------
    cell_signal : float
        A cell is affordable while its users' sum is so many times the noise in
        a typical direction.
    summary_share : float
        What all rounds of the summary spend; decides how many cells are affordable.
    """

    asks = SecondMoments

    MOST_DIRECTIONS = 512
    """Vectors of more dimensions are looked at in so many public, or else random directions."""
    MOST_CELLS = 12
    """For each centroid."""
    MOST_CELLS_IN_ALL = 2000
    """Without noise every number is affordable, and time is not. At least 2 for each centroid."""

    def __init__(
        self, name: str, share: float, *, cell_signal: float, summary_share: float
    ) -> None:
        super().__init__(name, share)
        self.cell_signal = cell_signal
        self.summary_share = summary_share

    def ask(self, known: Clustering) -> Question:
        """Ask for the second moments around the mean."""
        known.directions = self._before(known)
        return SecondMoments(
            origin=single_precision(known.mean),
            basis=single_precision(self._asked(known)),
            radius=known.radius,
            space=known.space,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Find the directions; lay out the cells of the summary."""
        triangle = answer.sums["moments"][0]
        if known.has_catalogue:
            known.directions = refine_public(known.directions, triangle, known.users, answer.sigma)
            width = known.k
        else:
            found = directions_above_noise(
                triangle, known.users, answer.sigma, fewest=2, most=2 * known.k
            )
            known.directions = Directions(
                columns=self._asked(known) @ found.columns
                if known.directions.columns.size
                else found.columns,
                variances=found.variances,
            )
            width = len(found.variances)
        known.basis = known.directions.columns[:, :width]
        known.cells = self._candidates(known)

    def _before(self, known: Clustering) -> Directions:
        """Return the directions that are known without asking anybody."""
        if known.has_catalogue:
            return principal_directions(known.placed.vectors.astype(np.float64))
        if known.dim <= self.MOST_DIRECTIONS:
            return nowhere()
        columns = random_directions(known.dim, self.MOST_DIRECTIONS, seed=known.seed)
        return Directions(columns=columns, variances=np.zeros(self.MOST_DIRECTIONS))

    def _asked(self, known: Clustering) -> Array:
        if known.has_catalogue:
            return known.directions.columns[:, : self.MOST_DIRECTIONS]
        return (
            known.directions.columns if known.directions.columns.size else np.zeros((known.dim, 0))
        )

    def _candidates(self, known: Clustering) -> Array:
        """Return the summary's first cells: public ones, or drawn where people differ."""
        count = self._affordable_cells(known)
        if known.has_catalogue:
            vectors = known.placed.vectors.astype(np.float64)
            points = (vectors - known.mean) @ known.basis
            return public_candidates(points, count, longest=known.radius, seed=known.seed)
        variances = known.directions.variances
        return drawn_candidates(variances, count, longest=known.radius, seed=known.seed)

    def _affordable_cells(self, known: Clustering) -> int:
        """As many cells as keep a typical cell's sum above its noise, 2K to 12K."""
        signal = known.users * known.effective_mu * np.sqrt(self.summary_share)
        cells = signal / (self.cell_signal * np.sqrt(known.basis.shape[1]))
        most = min(self.MOST_CELLS * known.k, self.MOST_CELLS_IN_ALL)
        return int(max(min(cells, most), 2 * known.k))
