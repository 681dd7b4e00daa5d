"""An experiment with lists: which of two or more ways of making them people take up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from strategies.aggregation import NoisySum
from strategies.arm_comparison import outcome
from strategies.clustering import Clustering
from strategies.phases.phase import Phase
from strategies.questions import ListFeedback, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which experiment is asked about.

    Attributes
    ----------
    name : str
    arms : sequence of str
        Each region has to have the same, in this order.
    window_days, dwell_cap : float
        As in the question.
    """

    name: str
    arms: Sequence[str]
    window_days: float
    dwell_cap: float

    def question(self) -> ListFeedback:
        """Return the question; raises ValueError where there can be none of this kind."""
        return ListFeedback(
            experiment=self.name,
            arms=list(self.arms),
            window_days=self.window_days,
            dwell_cap=self.dwell_cap,
        )


@final
class Feedback(Phase):
    """What came of the lists that were shown, by arm.

    Parameters
    ----------
    name, share
    asked : Asked
    """

    asks = ListFeedback
    is_needed = False

    def __init__(self, name: str, share: float, asked: Asked) -> None:
        super().__init__(name, share)
        self._asked = asked

    def ask(self, known: Clustering) -> Question:
        """Ask for sums over the users of each arm."""
        return self._asked.question()

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Compare the arms."""
        known.experiment = outcome(self._asked.question(), answer)
