"""Somebody new states three interests: how much better the first list is than what is popular.

``python -m simulations.recommendation.cold_start [--seeds 5] [--newcomers 2000]``

people who came before  ->  private runs, with taste and without  ->  two maps
newcomers' best liked categories, as texts  ->  lists by three ways  ->  hits on what they took up

Newcomers are of the same population, and no part of the run.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from client.catalogue import Catalogue
from client.catalogue_encoding import encode_interests
from client.embedding_cache import EmbeddingCache
from client.encoder import Encoder
from client.recommender import Recommendation, Recommender
from client.stated_interests import StatedInterests
from simulations.recommendation.behaviour import Behaviour, complete_journey
from simulations.recommendation.figures import figure, paired
from simulations.recommendation.learning import learn
from simulations.recommendation.populations import people_with_topics
from simulations.recommendation.rows import CACHE, clusters_alone, joint
from simulations.recommendation.splits import Split, whole
from simulations.recommendation.tables import fill, table
from strategies.cluster_map import ClusterMap
from strategies.public_catalogue import PublicCatalogue

PAGE = Path("docs") / "recommendation.md"
BEGIN = "<!-- cold start: made by python -m simulations.recommendation.cold_start -->"
END = "<!-- cold start: end -->"
PEOPLE, EPSILON, K = 20_000, 4.0, 16
NOBODY = "somebody new"
STATED = 3
"""Interests, the best liked first."""
WINDOWS = {"the first item": 1, "any of the first five": 5}
ASKED = 0.15
"""Gain over popularity, on the first item."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

console = Console(highlight=False, width=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """Somebody who was no part of the run.

    Attributes
    ----------
    interests : StatedInterests
    items : int64, shape (n,)
        Different items in the order in which they were met.
    """

    interests: StatedInterests
    items: Ints


def newcomers(
    everybody: Behaviour, known: int, interests: Sequence[StatedInterests]
) -> tuple[Behaviour, list[Newcomer]]:
    """Divide a population: who came before, and who is new.

    Parameters
    ----------
    everybody : Behaviour
    known : int
        So many of the first users came before.
    interests : sequence of StatedInterests
        Of each user who did not.
    """
    before = everybody.users < known
    earlier = replace(
        everybody,
        users=everybody.users[before],
        items=everybody.items[before],
        days=everybody.days[before],
    )
    starts = np.searchsorted(everybody.users, np.arange(known, known + len(interests) + 1))
    new = []
    for stated, start, end in zip(interests, starts, starts[1:], strict=False):
        met = everybody.items[start:end]
        items = np.array(list(dict.fromkeys(met.tolist())), dtype=np.int64)
        new.append(Newcomer(interests=stated, items=items))
    return earlier, new


def hits(
    pushed: ClusterMap, clusters: ClusterMap, people: Split, new: Sequence[Newcomer]
) -> dict[str, dict[str, Floats]]:
    """Return, by ranking and by window, whether each newcomer's list has what was taken up.

    Parameters
    ----------
    pushed, clusters : ClusterMap
        Of a run that learned clusters and taste, and of one that learned clusters alone.
    people : Split
        Who took part in both.
    new : sequence of Newcomer
    """
    catalogue = people.behaviour.catalogue
    place = {item: number for number, item in enumerate(catalogue.item_ids)}

    def recommender(known: ClusterMap) -> Recommender:
        return Recommender(people.profiles, catalogue.vectors, known, pd.DataFrame())

    def places(listed: list[Recommendation]) -> list[int]:
        return [place[one.item_id] for one in listed]

    full, alone = recommender(pushed), recommender(clusters)
    lists = {
        "popularity": [places(full.new_for(NOBODY))] * len(new),
        "clusters": [places(alone.new_for(NOBODY, interests=one.interests)) for one in new],
        "clusters and taste": [
            places(full.new_for(NOBODY, interests=one.interests)) for one in new
        ],
    }
    return {name: _hits(np.array(ranked), new) for name, ranked in lists.items()}


def rows(found: Sequence[dict[str, dict[str, Floats]]]) -> list[dict[str, str]]:
    """Return the table's rows of the hits of all draws of the noise."""
    lines = []
    for window, length in WINDOWS.items():
        drawn = {name: np.stack([one[name][window] for one in found]) for name in found[0]}
        popular = drawn.pop("popularity")
        for name, own in drawn.items():
            to, rate = paired(own, popular), float(popular.mean())
            asked = name == "clusters and taste" and length == 1
            met = "met" if to.gain >= ASKED * rate else "**not met**"
            lines.append(
                {
                    "judged by": window,
                    "list by": name,
                    "popularity": f"{rate:.4f}",
                    "hit rate@10": f"{figure(own).mean:.4f} ± {figure(own).error:.4f}",
                    "paired": f"{to.gain:+.4f} ± {to.error:.4f} ± {to.noise_error:.4f}",
                    "over popularity": f"{to.gain / rate:+.1%} ± {to.error / rate:.1%}",
                    "asked": f"{ASKED:+.0%}" if asked else "-",
                    "": met if asked else "-",
                }
            )
    return lines


def stated(likes: Sequence[Sequence[str]], catalogue: PublicCatalogue) -> list[StatedInterests]:
    """Return vectors of each person's best liked categories, said as a person would say them."""
    said = [[_words(category) for category in own[:STATED]] for own in likes]
    texts = sorted({text for own in said for text in own})
    public = Catalogue(
        item_ids=tuple(catalogue.item_ids),
        texts=tuple(catalogue.texts),
        categories=tuple(catalogue.categories),
    )
    vectors = encode_interests(texts, public, Encoder(), EmbeddingCache(CACHE))
    place = {text: number for number, text in enumerate(texts)}
    return [
        StatedInterests(texts=own, vectors=vectors[[place[text] for text in own]]) for own in said
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill the page's table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5, help="draws of the noise")
    parser.add_argument("--newcomers", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="of the population")
    parser.add_argument("--no-page", action="store_true", help="the page is not written")
    told = parser.parse_args(arguments)
    logging.getLogger("flwr").setLevel(logging.ERROR)
    catalogue = complete_journey(CACHE).catalogue
    everybody, likes = people_with_topics(catalogue, PEOPLE + told.newcomers, told.seed)
    earlier, new = newcomers(everybody, PEOPLE, stated(likes[PEOPLE:], catalogue))
    people = whole(earlier)
    found = []
    for seed in range(1, told.seeds + 1):
        pushed = learn(people, joint, EPSILON, k=K, seed=seed)
        clusters = learn(people, clusters_alone, EPSILON, k=K, seed=seed)
        found.append(hits(pushed, clusters, people, new))
        console.print(table(rows(found)))
    if not told.no_page:
        text = (
            f"{PEOPLE:,} people of the topic-and-session population, K = {K}, epsilon {EPSILON:g}, "
            f"{told.seeds} draws of the noise; {len(new):,} newcomers.\n\n{table(rows(found))}"
        )
        fill(PAGE, BEGIN, END, text)


def _hits(lists: Ints, new: Sequence[Newcomer]) -> dict[str, Floats]:
    return {
        window: np.array(
            [
                float(np.isin(one.items[:length], ranked).any())
                for ranked, one in zip(lists, new, strict=True)
            ]
        )
        for window, length in WINDOWS.items()
    }


def _words(category: str) -> str:
    """Return the last part of a path, in lower case: ``GROCERY > BAKING`` is "baking"."""
    return category.split(" > ")[-1].lower()


if __name__ == "__main__":
    main()
