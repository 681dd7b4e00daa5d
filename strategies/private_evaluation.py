"""How well lists rank, as users said through the door: released figures with their noise."""

from __future__ import annotations

from dataclasses import dataclass

from strategies.fusion import Fusion


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateEvaluation:
    """Hit rates of what users took up last, before the vote, and what they voted for.

    Attributes
    ----------
    k : int
        Length of the lists.
    users : float
        Noisy number of users with at least two items.
    ours, popularity : float
        Mean over them of the part of the withheld items that is among the first ``k``: by the
        usual weights, and by released popularity.
    ours_noise, popularity_noise, difference_noise : float
        Standard deviations of the noise on them, and on the difference of both.
    chosen : Fusion
        What was voted for; the usual weights where nothing is clearly better.
    gain, gain_noise : float
        By how much its mean discounted gain, of votes that were shortened, is above that of
        the usual weights; 0 for these.
    """

    k: int
    users: float
    ours: float
    ours_noise: float
    popularity: float
    popularity_noise: float
    difference_noise: float
    chosen: Fusion
    gain: float
    gain_noise: float
