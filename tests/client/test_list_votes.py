"""What a user's latest items say about lists, against an oracle in plain Python."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from client import candidates, text_closeness
from client.contributions import contributions_to
from client.interest_profile import InterestProfiles
from client.list_votes import list_votes
from client.taste_scoring import TasteScoring
from client.text_closeness import TextCloseness
from privacy.clipping import clipped_sum
from privacy.query import FloatArray, SumQuery, TrustModel
from strategies.cluster_map import ClusterMap
from strategies.fusion import Fusion
from strategies.question_kinds.votes import MOST_CHANGE, USERS_WEIGHT, K
from strategies.questions import ListVotes
from tests.client.examples import a_map, profiles_of, unit_rows

N_ITEMS, DIM, CLUSTERS = 40, 6, 2
OPTIONS = np.array([[8, 0.3, 0.3, 0, 1], [2, 0.3, 1, 0.5, 1], [1e9, 0, 0, 0, 0.5]], np.float32)

Numbers = Sequence[float]


def a_draft(n_items: int = N_ITEMS, width: int = DIM, **changes: Any) -> ClusterMap:
    rng = np.random.default_rng(0)
    popularity = rng.uniform(0.2, 5, n_items).astype(np.float32)
    weights = np.where(rng.random(n_items) < 0.8, popularity**-0.25, 0).astype(np.float32)
    m = np.count_nonzero(weights)
    fields: dict[str, Any] = {
        "popularity": popularity,
        "recent_popularity": (popularity * rng.uniform(0.1, 9, n_items)).astype(np.float32),
        "item_weights": (popularity * rng.uniform(0.5, 2, (CLUSTERS, n_items))).astype(np.float32),
        "taste_weights": weights,
        "taste_directions": np.linalg.qr(rng.standard_normal((m, 5)))[0].astype(np.float32),
        "taste_strengths": np.linspace(0.9, 0.2, 5).astype(np.float32),
    }
    return a_map(unit_rows(rng, CLUSTERS, width), n_items, **(fields | changes))


def people(n: int = 30, n_items: int = N_ITEMS, width: int = DIM) -> InterestProfiles:
    rng = np.random.default_rng(1)
    met: list[Mapping[int, float]] = []
    for _ in range(n):
        items = rng.choice(n_items, rng.integers(0, 25), replace=False)
        met.append({int(item): float(rng.integers(0, 90)) for item in items})
    return profiles_of(unit_rows(rng, n, width), met, n_items)


def dot(one: Numbers, other: Numbers) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def z(values: Numbers) -> list[float]:
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))
    return [(v - mean) / spread if spread else 0.0 for v in values]


def scores_of(
    history: Sequence[int], cluster: int, draft: ClusterMap, option: Numbers, items: list[Numbers]
) -> list[float]:
    """Score all items for a history, the newest first."""
    half_life, text, popularity, lift, follow = option
    n = len(items)
    weight = draft.taste_weights.tolist()
    rows: dict[int, Numbers] = dict(
        zip(np.flatnonzero(weight).tolist(), draft.taste_directions.tolist(), strict=True)
    )
    recency = {item: 0.5 ** (rank / half_life) for rank, item in enumerate(history)}
    known = {item: recency[item] * weight[item] for item in history if item in rows}
    length = math.hypot(*known.values()) or 1.0
    along = [
        draft.taste_strengths.tolist()[axis]
        * math.fsum(w / length * rows[item][axis] for item, w in known.items())
        for axis in range(len(draft.taste_strengths))
    ]
    liked, popular = [], []
    for item in range(n):
        taste = dot(along, rows[item]) / weight[item] if item in rows else 0.0
        usual = float(draft.popularity[item])
        recent = math.log(float(draft.recent_popularity[item]) / usual)
        lately = math.exp(lift * min(max(recent, -1.5), 1.5))
        own = float(draft.item_weights[cluster, item]) / usual
        liked.append(max(taste, 1e-7) * lately * own**follow)
        popular.append(math.log(usual * lately * own**follow))
    close = [
        math.sqrt(
            math.fsum(
                w * math.exp(8 * dot(items[i], items[item]))
                for i, w in recency.items()
                if i != item
            )
        )
        for item in range(n)
    ]
    views = zip(z(liked), z(close), z(popular), strict=True)
    return [a + text * b + popularity * c for a, b, c in views]


def oracle(draft: ClusterMap, profiles: InterestProfiles, options: FloatArray) -> list[list[float]]:
    """Return each user's 1, two hit rates and changes, in this order and in plain units."""
    items: list[Numbers] = profiles.item_vectors.tolist()
    found = []
    for user, vector in enumerate(profiles.vectors.tolist()):
        row = profiles.last_days[user]
        days = dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))
        newest = sorted(days, key=lambda item: (days[item], item))
        if len(newest) < 2:
            found.append([0.0] * (3 + len(options) - 1))
            continue
        out = max(1, len(newest) // 10)
        wanted, history = newest[:out], newest[out:]
        far = [math.dist(vector, centre) for centre in draft.centroids.tolist()]
        cluster = far.index(min(far))
        hits, gains = [], []
        lists = [draft.popularity.tolist()]
        lists += [scores_of(history, cluster, draft, option, items) for option in options.tolist()]
        for scores in lists:
            left = [item for item in range(len(items)) if item not in history]
            ranked = sorted(left, key=lambda item: (-scores[item], item))
            ranks = [ranked.index(item) for item in wanted]
            hits.append(sum(rank < K for rank in ranks) / out)
            gains.append(math.fsum(1 / math.log2(2 + rank) for rank in ranks) / out)
        found.append([1.0, *hits[:2], *(gain - gains[1] for gain in gains[2:])])
    return found


def added(draft: ClusterMap, profiles: InterestProfiles, options: FloatArray = OPTIONS) -> Any:
    """Return what users add, in plain units: shape (n, 3 + o - 1)."""
    answer = contributions_to(ListVotes(cluster_map=draft, options=options), profiles)
    return np.hstack(
        [
            answer["users"].rows / USERS_WEIGHT,
            answer["hits"].rows,
            answer["votes"].rows * MOST_CHANGE,
        ]
    )


def test_users_add_how_their_latest_items_rank() -> None:
    draft, users = a_draft(), people()
    expected = np.array(oracle(draft, users, OPTIONS))
    np.testing.assert_allclose(added(draft, users), expected, atol=1e-6)
    assert 5 < expected[:, 0].sum() < 30  # some have too few items
    for column in expected.T[1:]:
        assert len(np.unique(column)) >= 3


def test_who_has_met_fewer_than_two_items_adds_zeros() -> None:
    users = profiles_of(unit_rows(np.random.default_rng(0), 2, DIM), [{}, {3: 1.0}], N_ITEMS)
    assert not added(a_draft(), users).any()


def test_of_equally_good_items_the_earlier_in_the_catalogue_ranks_first() -> None:
    level: dict[str, Any] = {
        "popularity": np.ones(N_ITEMS, np.float32),
        "taste_directions": np.zeros((N_ITEMS, 1), np.float32),
        "taste_weights": np.ones(N_ITEMS, np.float32),
        "taste_strengths": np.ones(1, np.float32),
        "item_weights": np.ones((CLUSTERS, N_ITEMS), np.float32),
    }
    options = np.array([[8, 0, 0, 0, 1], [8, 0, 0, 0, 0]], np.float32)
    met = [{9: 0.0, 20: 5.0}, {10: 0.0, 20: 5.0}, {10: 0.0, 3: 5.0}]
    users = profiles_of(unit_rows(np.random.default_rng(0), 3, DIM), met, N_ITEMS)
    assert added(a_draft(**level), users, options)[:, 1:3].tolist() == [[1, 1], [0, 0], [1, 1]]


def test_what_is_no_candidate_ranks_behind_the_whole_catalogue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(candidates, "ALL", 10)
    monkeypatch.setattr(candidates, "OF_CLUSTER", 3)
    monkeypatch.setattr(candidates, "OF_LATELY", 3)
    few = np.zeros(N_ITEMS, np.float32)
    few[:2] = 1
    draft = a_draft(
        taste_weights=few,
        taste_directions=np.eye(2, 1, dtype=np.float32),
        taste_strengths=np.ones(1, np.float32),
    )
    looked_at = set(candidates.Candidates(draft).of(0).tolist())
    looked_at |= set(candidates.Candidates(draft).of(1).tolist())
    lost = next(item for item in range(N_ITEMS) if item not in looked_at)
    users = profiles_of(unit_rows(np.random.default_rng(0), 1, DIM), [{lost: 0.0, 1: 5.0}], N_ITEMS)
    assert added(draft, users)[0, 2:].tolist() == [0, 0, 0]


def test_a_map_without_taste_lets_popularity_stand_for_all_options() -> None:
    draft = a_draft(
        taste_weights=np.zeros(0, np.float32),
        taste_directions=np.zeros((0, 0), np.float32),
        taste_strengths=np.zeros(0, np.float32),
    )
    found = added(draft, people())
    np.testing.assert_array_equal(found[:, 1], found[:, 2])
    assert not found[:, 3:].any()
    assert found[:, 1].any()


@pytest.mark.parametrize("most_compared", [1000, 100])
def test_a_users_exact_scores_are_the_same_bits_whoever_else_is_scored(
    monkeypatch: pytest.MonkeyPatch, most_compared: int
) -> None:
    monkeypatch.setattr(text_closeness, "MOST_COMPARED", most_compared)
    n_items, width = 301, 47
    draft = a_draft(n_items, width)
    users = people(200, n_items=n_items, width=width)
    texts = TextCloseness(users.item_vectors)
    scoring = TasteScoring(draft, texts, Fusion(half_life=3.0), exact=True)
    items = np.arange(n_items)
    together = scoring.scores(users.last_days, 0, items)
    for user in range(len(users)):
        np.testing.assert_array_equal(
            scoring.scores(users.last_days[user], 0, items)[0], together[user]
        )
    usual = TasteScoring(draft, texts, Fusion(half_life=3.0))
    np.testing.assert_allclose(usual.scores(users.last_days, 0, items), together, atol=1e-3)


def test_a_user_adds_the_same_bits_whoever_else_is_asked() -> None:
    question = ListVotes(cluster_map=a_draft(), options=OPTIONS)
    users = people(60)
    together = contributions_to(question, users)
    for user in range(len(users)):
        alone = contributions_to(question, users.part(slice(user, user + 1)))
        for name, part in alone.items():
            np.testing.assert_array_equal(part.rows[0], together[name].rows[user])


def test_a_vote_is_shortened_at_the_door_and_would_be_too_long_without() -> None:
    """A variant that does not bound votes breaks the sensitivity: here it would."""
    question = ListVotes(cluster_map=a_draft(), options=OPTIONS)
    votes = contributions_to(question, people(60))["votes"]
    lengths = np.linalg.norm(votes.rows, axis=1)
    longest = int(lengths.argmax())
    (block,) = (one for one in question.blocks() if one.name == "votes")
    assert lengths[longest] > 1.5 * block.clipping_norm
    query = SumQuery(
        purpose="votes",
        kind=question.kind,
        blocks=question.blocks(),
        sigma=5.0,
        trust_model=TrustModel.LOCAL,
        run="run-1",
        round_number=1,
        nonce="",
    )
    alone = type(votes)(votes.cells[longest : longest + 1], votes.rows[longest : longest + 1])
    door = clipped_sum(query, block, alone) * query.step
    assert block.clipping_norm * 0.999 < np.linalg.norm(door) <= block.clipping_norm


def test_nobody_is_asked_in_vain() -> None:
    nobody = people(0)
    rows = list_votes(
        ListVotes(cluster_map=a_draft(), options=OPTIONS),
        nobody.vectors,
        nobody.last_days,
        nobody.item_vectors,
    )
    assert {name: row.shape for name, row in rows.items()} == {
        "users": (0, 1),
        "hits": (0, 2),
        "votes": (0, 2),
    }
