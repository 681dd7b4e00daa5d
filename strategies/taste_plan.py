"""How a run asks what goes with what: decided beforehand, from public numbers only.

users times mu, catalogue, largest upload  ->  products of pairs of items in one answer, or
                                               rounds of a few directions; and why

Products of fewer items, as many as fit, are no way: rounds of the same size rank better. On
MovieLens' second-last items at epsilon 1, 4 and 8 with 64 kB, which holds 88, 49 and 37% of the
items worth asking about, .124, .163 and .172 against .118, .153 and .154.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from privacy.query import TrustModel
from strategies.question_kinds.items import MOST_TASTE_ITEMS
from strategies.taste_spectrum import worthwhile_items

TASTE_SIGNAL = 150.0
"""Users times mu, of what is spent on it, from which on taste ranks better than popularity with
the same budget: on MovieLens' second-last items it loses at 30, and gains at 250."""
LARGEST_UPLOAD_MB = 16.8
"""What products of 2,048 items need, in the whole numbers that clients send under ``central``."""
SMALLEST_UPLOAD_MB = 0.01
ENVELOPE = 2_000
"""Bytes of an answer beside its numbers, at most: names, signatures, headers."""
BYTES_PER_NUMBER = {TrustModel.LOCAL: 4, TrustModel.CENTRAL: 8}
"""Noisy numbers travel in single precision, exact sums as whole numbers."""
ROUNDS = 3
"""On MovieLens' second-last items at epsilon 4 two rank .162, three .163, four .161; on a factor
population of another seed six rank no better than three."""
FEWEST_DIRECTIONS, MOST_DIRECTIONS = 8, 32
DIRECTIONS_PER_SIGNAL = 0.125
"""As many directions as this times the root of users times mu, and twice as many where they leave
room for all items: of 8,000 numbers on the factor population, 16 directions of 500 items rank
.155, 32 of 250 items .149; of 32,000 numbers, 32 of 1,000 items .159, 64 of 500 .155."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLimit:
    """What a client is ready to send in one answer about taste.

    Parameters
    ----------
    largest_mb : float
        Millions of bytes.
    trust_model : TrustModel
        Decides how long a number is.
    n_items : int
        Length of the catalogue; where it is not known, as many as are ever asked about.
    """

    largest_mb: float = LARGEST_UPLOAD_MB
    trust_model: TrustModel = TrustModel.CENTRAL
    n_items: int = MOST_TASTE_ITEMS

    @property
    def numbers(self) -> int:
        """As many fit into an answer."""
        return int((self.largest_mb * 1e6 - ENVELOPE) / BYTES_PER_NUMBER[self.trust_model])

    def megabytes(self, numbers: int) -> float:
        """Return how large an answer of so many numbers is."""
        return (numbers * BYTES_PER_NUMBER[self.trust_model] + ENVELOPE) / 1e6


class TasteWay(StrEnum):
    """How it is asked what goes with what."""

    NOTHING = "nothing"
    PRODUCTS = "products"
    ROUNDS = "rounds"


@dataclass(frozen=True, slots=True, kw_only=True)
class TasteChoice:
    """What was decided.

    Attributes
    ----------
    way : TasteWay
    items, directions : int
        At most so many items; directions of each round, 0 where there are no rounds.
    sentence : str
        What is done and why, for people.
    """

    way: TasteWay
    items: int = 0
    directions: int = 0
    sentence: str

    @property
    def is_asked_for(self) -> bool:
        """Whether it is asked at all."""
        return self.way is not TasteWay.NOTHING


def choose_taste(
    share: float, signal: float, limit: UploadLimit, *, instead: str = "what is popular"
) -> TasteChoice:
    """Decide how to ask what goes with what, or not to.

    Parameters
    ----------
    share : float
        Part of the run's mu^2 that popularity and taste spend together.
    signal : float
        Declared users times the run's effective mu.
    limit : UploadLimit
    instead : str
        What all of it is spent on where taste is not asked for.
    """
    spent = signal * math.sqrt(share)
    if spent < TASTE_SIGNAL:
        return TasteChoice(
            way=TasteWay.NOTHING,
            sentence=f"Taste is not asked for: users times mu, of what it would spend, is "
            f"{spent:.0f}, below {TASTE_SIGNAL:.0f}. All is spent on {instead}.",
        )
    wanted = int(min(worthwhile_items(spent), MOST_TASTE_ITEMS, limit.n_items))
    pairs = wanted * (wanted + 1) // 2
    fitting = (math.isqrt(8 * limit.numbers + 1) - 1) // 2
    whole = f"{limit.megabytes(pairs):.3g} MB"
    if wanted <= fitting:
        return TasteChoice(
            way=TasteWay.PRODUCTS,
            items=min(fitting, MOST_TASTE_ITEMS),
            sentence=f"Taste is asked for in one answer of {whole}: the products of all pairs of "
            f"{wanted:,} items.",
        )
    directions = _directions(spent, limit.numbers, wanted)
    items = min(wanted, limit.numbers // directions)
    return TasteChoice(
        way=TasteWay.ROUNDS,
        items=items,
        directions=directions,
        sentence=f"Taste is asked for in {ROUNDS} answers of "
        f"{limit.megabytes(items * directions):.3g} MB, about {directions} directions in "
        f"{items:,} items: the products of all pairs of {wanted:,} items would need {whole}, over "
        f"the limit of {limit.largest_mb:g}.",
    )


def _directions(spent: float, numbers: int, wanted: int) -> int:
    """Return how many directions a round asks about; at least four times as many items."""
    usual = min(DIRECTIONS_PER_SIGNAL * math.sqrt(spent), MOST_DIRECTIONS)
    usual = max(round(usual), FEWEST_DIRECTIONS)
    most = min(MOST_DIRECTIONS, math.isqrt(numbers // 4))
    return min(max(usual, numbers // wanted), 2 * usual, most)
