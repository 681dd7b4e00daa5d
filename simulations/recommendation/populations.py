"""Made-up populations, as large as wanted: one that a factor model makes, one that none makes.

a set of behaviour  ->  factors of its people and items  ->  mixtures of people, with other tastes
a catalogue         ->  topics of its categories         ->  people with a few topics, in sessions
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from simulations.recommendation.behaviour import Behaviour
from strategies.public_catalogue import PublicCatalogue

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FACTORS = 12
STEPS = 100
DECAY = 0.01
"""Chosen on a tenth of MovieLens 100k's ratings that were kept out of the fit."""
FEWEST, MOST = 9, 151
"""Items of a person."""
USERS_AT_A_TIME = 5000
YEAR = 365.0
"""Days in which people come, and stay."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Factors:
    """A multinomial factor model: the odds of an item are exp(person . item + offset).

    Attributes
    ----------
    people : shape (n, f)
    items : shape (n_items, f)
    offsets : shape (n_items,)
    lengths : shape (n,)
        How many items each person met.
    """

    people: Floats
    items: Floats
    offsets: Floats
    lengths: Floats


def fit_factors(behaviour: Behaviour, seed: int = 0) -> Factors:
    """Fit the model to who met what, by likelihood with decayed factors (Adam)."""
    torch.manual_seed(seed)
    n, n_items = behaviour.n_users, len(behaviour.catalogue.item_ids)
    met = torch.zeros(n, n_items)
    met[behaviour.users, behaviour.items] = 1
    people = (torch.randn(n, FACTORS) * 0.05).requires_grad_()
    items = (torch.randn(n_items, FACTORS) * 0.05).requires_grad_()
    offsets = torch.log(met.sum(0) + 0.5).requires_grad_()
    adam = torch.optim.Adam([people, items, offsets], lr=0.03)
    for _ in range(STEPS):
        odds = torch.log_softmax(people @ items.T + offsets, 1)
        decay = (people**2).sum() / n + (items**2).sum() / n_items
        loss = -(met * odds).sum() / met.sum() + DECAY * decay
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    fitted = [part.detach().numpy().astype(np.float64) for part in (people, items, offsets)]
    return Factors(
        people=fitted[0],
        items=fitted[1],
        offsets=fitted[2],
        lengths=met.sum(1).numpy().astype(np.float64),
    )


def factor_population(
    factors: Factors, n: int, catalogue: PublicCatalogue, seed: int = 0
) -> Behaviour:
    """Draw people: each a mixture of two fitted ones and some noise; items in a random order.

    Without replacement, by Gumbel's trick. The order tells nothing: nobody's taste changes.
    """
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, len(factors.people), (2, n))
    weight = rng.uniform(0.6, 1, (n, 1))
    tastes = weight * factors.people[one] + (1 - weight) * factors.people[other]
    tastes /= np.sqrt(weight**2 + (1 - weight) ** 2)
    tastes += rng.normal(0, 0.25, tastes.shape) * factors.people.std(axis=0)
    counts = factors.lengths[one] * rng.lognormal(-0.6, 0.4, n)
    most = min(MOST, len(factors.items) - 1)
    counts = np.clip(counts.astype(np.int64), FEWEST - 1, most - 1) + 1
    users, items = [], []
    for start in range(0, n, USERS_AT_A_TIME):
        some = slice(start, start + USERS_AT_A_TIME)
        odds = (tastes[some] @ factors.items.T + factors.offsets).astype(np.float32)
        odds += rng.gumbel(size=odds.shape).astype(np.float32)
        best = np.argpartition(-odds, most, axis=1)[:, : most + 1]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(odds, best, 1), 1), 1)
        for place, row in enumerate(best, start=start):
            users.append(np.full(counts[place], place))
            items.append(rng.permutation(row[: counts[place]]))
    name = f"factor population, {n:,}"
    return _ordered(name, users, items, catalogue, half_life=np.inf, seed=seed)


def session_population(catalogue: PublicCatalogue, n: int, seed: int = 0) -> Behaviour:
    """Return people as of :func:`people_with_topics`, without what they like."""
    return people_with_topics(catalogue, n, seed)[0]


def people_with_topics(
    catalogue: PublicCatalogue, n: int, seed: int = 0
) -> tuple[Behaviour, list[list[str]]]:
    """Draw people who come in sessions: each about one category, of a few that the person likes.

    Which categories a person likes is a matter of departments: most are of one or two, and
    one in twenty months a liked category is exchanged for another. Within a category items
    are as popular as Zipf has it; one item in five is of no liked category. The first people
    are the same however many are drawn.

    Returns
    -------
    Behaviour
    list of list of str, length n
        Categories that each person liked in the beginning, the best liked first.
    """
    rng = np.random.default_rng(seed)
    names, codes = np.unique(np.array(catalogue.categories), return_inverse=True)
    topics = len(names)
    departments = np.unique([name.split(" > ")[0] for name in names], return_inverse=True)[1]
    weight = rng.permutation(1 / np.arange(1, topics + 1) ** 0.7)
    by_topic = [np.flatnonzero(codes == topic) for topic in range(topics)]
    within = [_zipf(len(items), rng) for items in by_topic]
    everything = _zipf(len(catalogue.item_ids), rng)
    users, items, likes = [], [], []
    for user in range(n):
        liked = _liked(rng, departments, weight)
        likes.append([str(names[topic]) for topic in liked])
        met: list[int] = []
        for _ in range(int(rng.integers(4, 25))):
            if rng.random() < 0.05:
                liked[rng.integers(len(liked))] = rng.choice(topics, p=weight / weight.sum())
            topic = int(liked[min(int(rng.geometric(0.4)), len(liked)) - 1])
            count = min(int(rng.integers(1, 6)), len(by_topic[topic]))
            own = rng.choice(by_topic[topic], count, replace=False, p=within[topic])
            other = rng.choice(len(everything), count, p=everything)
            met += np.asarray(np.where(rng.random(count) < 0.2, other, own)).tolist()
        users.append(np.full(len(met), user))
        items.append(np.array(met))
    name = f"topic-and-session population, {n:,}"
    return _ordered(name, users, items, catalogue, half_life=20.0, seed=seed), likes


def _liked(rng: np.random.Generator, departments: Ints, weight: Floats) -> Ints:
    """Return three to six categories, the best liked first, most of one or two departments."""
    home = rng.choice(departments, 2, p=weight / weight.sum())
    odds = weight * np.where(np.isin(departments, home), 1.0, 0.05)
    count = min(int(rng.integers(3, 7)), int(np.count_nonzero(odds)))
    chosen = rng.choice(len(departments), count, replace=False, p=odds / odds.sum())
    return np.asarray(chosen, dtype=np.int64)


def _zipf(count: int, rng: np.random.Generator) -> Floats:
    weights = rng.permutation(1 / np.arange(1, count + 1))
    return np.asarray(weights / weights.sum())


def _ordered(
    name: str,
    users: list[Ints],
    items: list[Ints],
    catalogue: PublicCatalogue,
    *,
    half_life: float,
    seed: int,
) -> Behaviour:
    lengths = np.array([len(one) for one in users])
    return Behaviour(
        name=name,
        users=np.concatenate(users),
        items=np.concatenate(items).astype(np.int64),
        days=_days(lengths, np.random.default_rng([seed, 1])),
        catalogue=catalogue,
        half_life=half_life,
    )


def _days(lengths: Ints, rng: np.random.Generator) -> Floats:
    """Spread each person's events, in their order, from when the person came to the year's end.

    People come all through the year. The times are of another generator than everything else:
    they change neither who met what, nor in which order.
    """
    users = np.repeat(np.arange(len(lengths)), lengths)
    came = rng.uniform(0, YEAR, len(lengths))
    days = came[users] + rng.uniform(0, 1, len(users)) * (YEAR - came[users])
    return np.asarray(days[np.lexsort((days, users))])
