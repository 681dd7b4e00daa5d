"""Whom a ranking serves: people by how much they did, how common their taste is, who they are.

history of everybody  ->  quartiles of activity, quartiles of mainstreamness, declared groups
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulations.recommendation.figures import Group
from simulations.recommendation.judging import Judge, Judged

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

QUARTILES = ("lowest", "second", "third", "highest")
FEWEST = 20
"""People; of fewer a hit rate says nothing."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """A division of the judged people.

    Attributes
    ----------
    name : str
    members : mapping of str to int64
        Places among the judged, by the group's name.
    """

    name: str
    members: dict[str, Ints]

    def compared(self, ours: Judged, popularity: Judged) -> list[Group]:
        """Return each group's hit rates."""
        return [
            Group(name=name, people=len(some), ours=ours.of(some), popularity=popularity.of(some))
            for name, some in self.members.items()
        ]


def groupings(judge: Judge) -> list[Grouping]:
    """Divide the people whom a judge looks at.

    Activity is the number of items in the history; mainstreamness the mean logarithm of how
    many people met each of them.
    """
    met = judge.split.met[judge.users]
    activity = np.diff(met.indptr).astype(np.float64)
    logarithms = met @ np.log(judge.shares)
    mainstream = logarithms / np.maximum(activity, 1)
    found = [_quartiles("activity", activity), _quartiles("mainstreamness", mainstream)]
    for name, declared in judge.split.behaviour.declared.items():
        own = np.array(declared)[judge.users]
        members = {str(group): np.flatnonzero(own == group) for group in np.unique(own)}
        large = {group: some for group, some in members.items() if len(some) >= FEWEST}
        if len(large) > 1:
            found.append(Grouping(name, large))
    return found


def _quartiles(name: str, values: Floats) -> Grouping:
    """Divide into four by value; people of the same value stay in the order they come in."""
    parts = np.array_split(np.argsort(values, kind="stable"), len(QUARTILES))
    return Grouping(
        name, {group: np.sort(part) for group, part in zip(QUARTILES, parts, strict=True)}
    )
