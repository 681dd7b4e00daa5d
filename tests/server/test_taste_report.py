"""What a run learned of taste is told of released values, and nothing where nothing rose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from server.report import GoesWithPart
from server.taste_report import OF_A_CATEGORY, SHOWN, taste_part
from strategies.clustering import Clustering
from strategies.public_catalogue import PublicCatalogue
from strategies.taste import Taste

N_ITEMS = 9


def known(taste: Taste | None, categories: list[str] | None = None) -> Clustering:
    found = Clustering(
        run="r",
        k=1,
        seed=0,
        effective_mu=1.0,
        catalogue=PublicCatalogue(
            item_ids=[f"item-{number}" for number in range(N_ITEMS)],
            texts=["text"] * N_ITEMS,
            categories=categories or [f"c{number}" for number in range(N_ITEMS)],
            vectors=np.eye(N_ITEMS, dtype=np.float32),
            encoder="e",
            encoder_name="e",
            device="cpu",
            fingerprint="f",
        ),
    )
    found.popularity, found.taste = np.linspace(2, 1, N_ITEMS), taste
    return found


def taste_of_threes() -> Taste:
    """Items 0, 3, 6 go with each other, and so on; nobody was asked about the last one."""
    asked = N_ITEMS - 1
    member = np.zeros((asked, 3), np.float32)
    member[np.arange(asked), np.arange(asked) % 3] = 1
    weights = np.ones(N_ITEMS, np.float32)
    weights[asked] = 0
    directions = member / np.linalg.norm(member, axis=0)
    return Taste(
        weights=weights,
        directions=np.asarray(directions, np.float32),
        strengths=np.full(3, 0.5, np.float32),
    )


def test_popular_items_are_shown_with_what_goes_with_them() -> None:
    told = taste_part(known(taste_of_threes()))
    assert told is not None
    assert (told.items, told.directions) == (N_ITEMS - 1, 3)
    assert len(told.examples) == SHOWN
    assert told.examples[0] == GoesWithPart(item="item-0", goes_with=["item-3", "item-6"])
    assert told.examples[2].goes_with == ["item-5"]


def test_few_items_of_a_category_are_shown() -> None:
    told = taste_part(known(taste_of_threes(), ["FILMS"] * N_ITEMS))
    assert told is not None
    assert [one.item for one in told.examples] == ["item-0", "item-1"][:OF_A_CATEGORY]


def test_nothing_is_shown_where_nothing_rose_above_the_noise_or_nobody_was_asked() -> None:
    nothing = replace(
        taste_of_threes(),
        directions=np.zeros((N_ITEMS - 1, 0), np.float32),
        strengths=np.zeros(0, np.float32),
    )
    told = taste_part(known(nothing))
    assert told is not None
    assert (told.directions, told.examples) == (0, [])
    assert taste_part(known(None)) is None
