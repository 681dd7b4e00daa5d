"""Sets of people's behaviour: who met what, when, and what the items are.

files of a set  ->  Behaviour
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from client.catalogue import Catalogue, read_catalogue
from client.catalogue_encoding import as_public
from client.embedding_cache import EmbeddingCache
from client.encoder import Encoder
from client.events import read_events
from simulations.datasets import BUNDLED
from strategies.public_catalogue import PublicCatalogue

Ints = NDArray[np.int64]

MOVIELENS_FILES = ("ml-100k.inter", "ml-100k.item")
"""As RecBole's package carries them; the original's ``u.data`` and ``u.item`` do as well."""
MOVIELENS_PEOPLE = "ml-100k.user"
"""Their age and gender, if it is there."""
AGES = {0: "under 25", 25: "25 to 34", 35: "35 to 49", 50: "50 and over"}
QUARTER = 91
"""Days."""


class BehaviourError(Exception):
    """A set that cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Behaviour:
    """Who met what, when.

    Attributes
    ----------
    name : str
    users, items : int64, shape (n_events,)
        Users are numbered 0 to n_users - 1, items as in the catalogue; ordered by user, then
        by time.
    days : float64, shape (n_events,)
        When, in days since some day.
    catalogue : PublicCatalogue
    half_life : float
        Of a user's history, in items: chosen on other users or older data, never on what
        judges.
    lift : float
        How far to follow what is popular lately, declared like the half-life: 1 where people's
        histories are of one season, and what judges is of the same.
    declared : mapping of str to tuple of str, each of length n_users
        Groups that people say they are of, by what the grouping is called.
    """

    name: str
    users: Ints
    items: Ints
    days: NDArray[np.float64]
    catalogue: PublicCatalogue
    half_life: float
    lift: float = 0.0
    declared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def n_users(self) -> int:
        """How many there are."""
        return int(self.users.max(initial=-1)) + 1


def arranged(
    name: str, table: pd.DataFrame, catalogue: PublicCatalogue, half_life: float
) -> Behaviour:
    """Return behaviour from a table with ``user``, ``item`` (a number) and ``day``."""
    numbers, _ = pd.factorize(table.user, sort=True)
    order = np.lexsort((np.arange(len(table)), table.day, numbers))
    return Behaviour(
        name=name,
        users=numbers[order].astype(np.int64),
        items=table.item.to_numpy(np.int64)[order],
        days=table.day.to_numpy(np.float64)[order],
        catalogue=catalogue,
        half_life=half_life,
    )


def movielens(folder: Path, cache: Path) -> Behaviour:
    """Read MovieLens 100k: 943 people, 1,682 films, each rated once.

    Raises
    ------
    BehaviourError
        If its files are not in ``folder``.
    """
    inter, item = (folder / name for name in MOVIELENS_FILES)
    if not (inter.is_file() and item.is_file()):
        raise BehaviourError(
            f"{folder} has no {' and '.join(MOVIELENS_FILES)}. Nothing was judged. They are in "
            "the package `recbole` 1.2.1 (dataset_example/ml-100k); use must follow GroupLens' "
            "licence."
        )
    ratings = pd.read_csv(
        inter, sep="\t", usecols=[0, 1, 3], names=["user", "film", "time"], header=0
    )
    films = pd.read_csv(item, sep="\t", names=["film", "title", "year", "genres"], header=0)
    films = films[films.film.isin(set(ratings.film))].sort_values("film").fillna("")
    texts = [f"{film.title}. {film.genres}" for film in films.itertuples()]
    genres = tuple(films.genres.astype(str))
    catalogue = as_public(
        Catalogue(item_ids=tuple(films.film.astype(str)), texts=tuple(texts), categories=genres),
        Encoder(),
        EmbeddingCache(cache),
    )
    table = pd.DataFrame(
        {
            "user": ratings.user,
            "item": np.searchsorted(films.film.to_numpy(), ratings.film.to_numpy()),
            "day": ratings.time / 86400.0,
        }
    )
    found = arranged("MovieLens 100k", table, catalogue, 8.0)
    return replace(found, declared=_declared(folder / MOVIELENS_PEOPLE, np.unique(ratings.user)))


def _declared(path: Path, users: Ints) -> dict[str, tuple[str, ...]]:
    """Return gender and age of MovieLens' people, in the order of their ids."""
    if not path.is_file():
        return {}
    people = pd.read_csv(path, sep="\t", usecols=[0, 1, 2], names=["user", "age", "sex"], header=0)
    people = people.set_index("user").loc[users]
    ages = np.searchsorted(list(AGES), people.age.to_numpy(), side="right") - 1
    named = list(AGES.values())
    return {"gender": tuple(people.sex), "age": tuple(named[age] for age in ages)}


def complete_journey(cache: Path, *, quarters: bool = False) -> Behaviour:
    """Return the bundled groceries: households, or each household's quarters as users."""
    read = read_catalogue(BUNDLED / "catalogue.parquet")
    catalogue = as_public(read, Encoder(), EmbeddingCache(cache))
    events = read_events(
        BUNDLED / "events.parquet", frozenset(read.item_ids), cache / "rejected.csv"
    )
    day = (events.timestamp - events.timestamp.min()).dt.total_seconds() / 86400.0
    user = events.user_id + ("-" + (day // QUARTER).astype(int).astype(str) if quarters else "")
    items = pd.Categorical(events.item_id, categories=list(read.item_ids)).codes
    table = pd.DataFrame({"user": user, "item": items, "day": day})
    name = "Complete Journey, household-quarters" if quarters else "Complete Journey"
    return replace(arranged(name, table, catalogue, 20.0), lift=1.0 if quarters else 0.0)
