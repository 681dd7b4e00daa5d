"""What each user adds to each kind of question, against oracles in plain Python."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from threadpoolctl import threadpool_info

from client.contributions import (
    batches_of_contributions,
    contributions_to,
    users_at_a_time,
)
from client.feedback import Feedback
from client.interest_profile import InterestProfiles, build_profiles
from privacy.query import (
    Block,
    Contributions,
    FloatArray,
    SumQuery,
    TrustModel,
    check_contributions,
)
from strategies.item_space import ItemSpace
from strategies.questions import (
    CellSums,
    DistanceHistogram,
    GroupingGains,
    ItemPopularity,
    ItemWeights,
    ListFeedback,
    ListVotes,
    MapQuality,
    Question,
    SecondMoments,
    TasteMoments,
    TasteProjection,
)
from strategies.taste import Taste
from tests.client.examples import a_map, profiles_of, usable
from tests.client.test_interest_profile import AS_OF
from tests.strategies.examples import distance_histogram

DIM = 3
N_ITEMS = 5
LEFT_TO_THE_DOOR = ("sums", "moments", "votes", "gains")
"""These may be longer than their clipping norm: what is too long, the door clips."""

Vector = Sequence[float]


def unit(seed: int, n: int, width: int = DIM) -> FloatArray:
    rows = np.random.default_rng(seed).standard_normal((n, width))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def people(seed: int = 0, n: int = 20) -> InterestProfiles:
    rng = np.random.default_rng(seed)
    last_days = [
        {int(item): float(rng.uniform(0, 120)) for item in range(N_ITEMS) if rng.random() < 0.6}
        for _ in range(n)
    ]
    return replace(profiles_of(unit(seed, n), last_days, N_ITEMS), feedback=feedback(seed, n))


def feedback(seed: int, n: int) -> Feedback:
    """Return possible feedback; some users were shown nothing."""
    rng = np.random.default_rng(seed)
    shown = rng.integers(0, 8, n)
    accepted = rng.integers(0, shown + 1)
    return Feedback(
        arms=rng.integers(0, 2, n),
        shown=shown,
        accepted=accepted,
        skipped=rng.integers(0, shown - accepted + 1),
        dwell_ms=rng.integers(0, 60_000 * shown + 1),
    )


def cell_sums(width: int = 0, centres: FloatArray | None = None) -> CellSums:
    """Ask in all dimensions, or in a plane of ``width``."""
    basis = np.linalg.qr(np.random.default_rng(3).standard_normal((DIM, DIM)))[0][:, :width]
    return CellSums(
        origin=np.array([0.1, -0.2, 0.05], np.float32),
        basis=basis.astype(np.float32),
        centres=unit(1, 4, width or DIM) if centres is None else centres,
        radius=0.7,
        count_weight=0.3,
    )


def second_moments(width: int = 0) -> SecondMoments:
    like = cell_sums(width)
    return SecondMoments(origin=like.origin, basis=like.basis, radius=0.7)


def item_weights() -> ItemWeights:
    return ItemWeights(
        centroids=unit(1, 4), n_items=N_ITEMS, recent_days=60, saturation=2.5, cluster_weight=0.6
    )


def histogram(largest: float = 2.0) -> DistanceHistogram:
    return distance_histogram(unit(1, 4), largest=largest)


def quality(k: int = 4) -> MapQuality:
    return MapQuality(cluster_map=a_map(unit(1, k)), largest_distance=1.5)


def item_popularity() -> ItemPopularity:
    return ItemPopularity(n_items=N_ITEMS, latest=2)


def taste_moments() -> TasteMoments:
    return TasteMoments(weights=np.array([0.5, 0, 2, 1, 0], np.float32))


def list_feedback() -> ListFeedback:
    return ListFeedback(
        experiment="lists", arms=["plain", "varied"], window_days=30.0, dwell_cap=60.0
    )


def list_votes() -> ListVotes:
    draft = a_map(
        unit(1, 4),
        taste_weights=np.array([1, 0, 0.5, 2, 1], np.float32),
        taste_directions=unit(2, 2, 4).T.copy(),
        taste_strengths=np.array([0.9, 0.3], np.float32),
    )
    options = np.array([[8, 0.3, 0.3, 0, 1], [1, 0, 0, 0, 1], [1e9, 1, 1, 0, 0]], np.float32)
    return ListVotes(cluster_map=draft, options=options)


def taste_projection() -> TasteProjection:
    turned = np.linalg.qr(np.random.default_rng(4).standard_normal((3, 3)))[0]
    return TasteProjection(
        weights=taste_moments().weights, directions=turned[:, :2].astype(np.float32), length=1.0
    )


def grouping_gains() -> GroupingGains:
    lifts = np.random.default_rng(8).standard_normal((3, 2, 4))
    return GroupingGains(
        items=np.array([1, 1, 0, 1, 1], np.float32),
        logs=np.array([0.3, -0.1, 0.2, 0.0], np.float32),
        lifts=lifts.astype(np.float32),
        largest=0.1,
    )


def a_space(share: float) -> ItemSpace:
    """Items 0, 2 and 3 are known to taste, in two directions."""
    directions = np.array([[0.6, 0.0], [0.0, 1.0], [0.8, 0.0]], np.float32)
    return ItemSpace(
        share=share,
        taste=Taste(
            weights=np.array([0.5, 0, 2, 1, 0], np.float32),
            directions=directions,
            strengths=np.array([0.81, 0.25], np.float32),
        ),
    )


def placed(user: int, share: float, profiles: InterestProfiles) -> list[float]:
    """Return a user's vector in :func:`a_space`, in plain Python."""
    met = set(profiles.last_days[user].indices.tolist())
    along = [
        0.9 * (0.5 * 0.6 * (0 in met) + 1.0 * 0.8 * (3 in met)),
        0.5 * 2.0 * 1.0 * (2 in met),
    ]
    text = [math.sqrt(1 - share) * x for x in vectors_of(profiles)[user]] if share < 1 else []
    return text + scaled(along, math.sqrt(share))


QUESTIONS: dict[str, Question] = {
    "cell-sums": cell_sums(),
    "cell-sums in a plane": cell_sums(2),
    "distance-histogram": histogram(),
    "second-moments": second_moments(),
    "second-moments in a plane": second_moments(2),
    "item-popularity": item_popularity(),
    "taste-moments": taste_moments(),
    "taste-projection": taste_projection(),
    "grouping-gains": grouping_gains(),
    "item-weights": item_weights(),
    "list-feedback": list_feedback(),
    "map-quality": quality(),
    "list-votes": list_votes(),
}


def dot(one: Vector, other: Vector) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def distances(point: Vector, centres: FloatArray) -> list[float]:
    return [math.dist(point, centre) for centre in cast(list[Vector], centres.tolist())]


def nearest(point: Vector, centres: FloatArray) -> int:
    far = distances(point, centres)
    return far.index(min(far))


def vectors_of(profiles: InterestProfiles) -> list[list[float]]:
    return cast(list[list[float]], profiles.vectors.tolist())


def assert_adds(part: Contributions, cells: Sequence[int], rows: npt.ArrayLike) -> None:
    assert part.cells.tolist() == list(cells)
    assert part.cells.dtype == np.int64
    assert part.rows.dtype == np.float32
    expected: npt.NDArray[Any] = np.asarray(rows, dtype=np.float64)
    np.testing.assert_allclose(part.rows, expected, atol=1e-6)


@pytest.mark.parametrize("width", [0, 2])
def test_cell_sums_add_the_residual_and_a_count_to_the_nearest_cell(width: int) -> None:
    question = cell_sums(width)
    points = []
    for vector in vectors_of(people()):
        moved = [x - o for x, o in zip(vector, question.origin.tolist(), strict=True)]
        columns = question.basis.T.tolist()
        points.append([dot(moved, column) for column in columns] if width else moved)
    cells = [nearest(point, question.centres) for point in points]
    residuals = [np.subtract(p, question.centres[c]) for p, c in zip(points, cells, strict=True)]
    answer = contributions_to(question, people())
    assert_adds(answer["sums"], cells, residuals)
    assert_adds(answer["counts"], cells, [[0.3 * 0.7]] * len(cells))


@pytest.mark.parametrize("largest", [2.0, 0.5])
def test_distance_histogram_adds_one_to_the_bin_of_the_distance(largest: float) -> None:
    question = histogram(largest)
    ends = [largest * 2 ** (-(7 - number) / 8) for number in range(8)]
    bins = [
        next((n for n, end in enumerate(ends) if min(distances(v, question.centres)) <= end), 7)
        for v in vectors_of(people())
    ]
    assert len(set(bins)) > 1
    assert_adds(contributions_to(question, people())["histogram"], bins, [[1.0]] * len(bins))


def test_item_weights_add_the_taste_to_the_own_cluster_and_to_everybody() -> None:
    question, profiles = item_weights(), people()
    cells = [nearest(vector, question.centroids) for vector in vectors_of(profiles)]
    tastes = []
    for user in range(len(cells)):
        taste = [0.0] * N_ITEMS
        row = profiles.last_days[user]
        for item, days in zip(row.indices.tolist(), row.data.tolist(), strict=True):
            taste[item] = 2.0 if days <= 60 else 1.0
        length = max(math.hypot(*taste), 2.5)
        tastes.append([entry / length for entry in taste])
    answer = contributions_to(question, profiles)
    assert_adds(answer["by_cluster"], cells, np.multiply(tastes, 0.6))
    assert_adds(answer["overall"], [0] * len(cells), np.multiply(tastes, 0.8))


def scaled(row: Sequence[float], length: float) -> list[float]:
    own = math.hypot(*row)
    return [entry * length / own if own else 0.0 for entry in row]


def test_item_popularity_adds_a_row_of_all_items_met_and_one_of_the_latest() -> None:
    profiles, share = people(), math.sqrt(0.5)
    ever, latest = [], []
    for user in range(len(profiles)):
        row = profiles.last_days[user]
        days = dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))
        newest = sorted(days, key=lambda item: (days[item], item))[:2]
        ever.append(scaled([float(item in days) for item in range(N_ITEMS)], share))
        latest.append(scaled([float(item in newest) for item in range(N_ITEMS)], share))
    answer = contributions_to(item_popularity(), profiles)
    assert_adds(answer["ever"], [0] * 20, ever)
    assert_adds(answer["latest"], [0] * 20, latest)


def test_of_items_met_at_the_same_time_the_earlier_in_the_catalogue_is_the_latest() -> None:
    users = profiles_of(unit(0, 1), [{4: 0.0, 3: 0.0, 1: 0.0, 0: 5.0}], N_ITEMS)
    latest = contributions_to(item_popularity(), users)["latest"].rows[0]
    assert np.flatnonzero(latest).tolist() == [1, 3]


def test_taste_moments_add_the_weighed_items_that_are_asked_about() -> None:
    profiles, weights = people(), [0.5, 2.0, 1.0]
    expected = []
    for user in range(len(profiles)):
        met = set(profiles.last_days[user].indices.tolist())
        own = [w * (i in met) for i, w in zip((0, 2, 3), weights, strict=True)]
        expected.append(scaled(own, 1.0))
    assert_adds(contributions_to(taste_moments(), profiles)["moments"], [0] * 20, expected)


def test_list_feedback_adds_shares_of_what_was_shown_to_the_row_of_the_own_arm() -> None:
    users = people()
    found = users.feedback
    assert found is not None
    rows = []
    for user in range(len(users)):
        shown = int(found.shown[user])
        if not shown:
            rows.append([0.0] * 4)
            continue
        seconds = int(found.dwell_ms[user]) / 1000 / shown
        shares = [int(found.accepted[user]) / shown, int(found.skipped[user]) / shown]
        rows.append([0.5, *shares, 0.5 * seconds / 60])
    assert [0.0] * 4 in rows
    assert_adds(contributions_to(list_feedback(), users)["arms"], found.arms.tolist(), rows)


def test_users_without_feedback_add_zeros() -> None:
    users = replace(people(), feedback=None)
    assert_adds(contributions_to(list_feedback(), users)["arms"], [0] * 20, [[0.0] * 4] * 20)


def test_taste_projection_adds_the_same_row_times_its_products_with_the_directions() -> None:
    profiles, weights, question = people(), [0.5, 2.0, 1.0], taste_projection()
    columns = cast(list[Vector], question.directions.T.tolist())
    expected = []
    for user in range(len(profiles)):
        met = set(profiles.last_days[user].indices.tolist())
        row = scaled([w * (i in met) for i, w in zip((0, 2, 3), weights, strict=True)], 1.0)
        along = [dot(row, column) for column in columns]
        expected.append([own * product for own in row for product in along])
    assert_adds(contributions_to(question, profiles)["projected"], [0] * 20, expected)


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_in_a_space_with_taste_vectors_are_texts_beside_what_goes_with_what(share: float) -> None:
    space, profiles = a_space(share), people()
    points = [placed(user, share, profiles) for user in range(len(profiles))]
    centres = unit(2, 3, space.dim(DIM))
    everywhere = np.zeros((space.dim(DIM), 0), np.float32)
    sums = CellSums(
        origin=np.zeros(space.dim(DIM), np.float32),
        basis=everywhere,
        centres=centres,
        radius=2.0,
        count_weight=0.3,
        space=space,
    )
    cells = [nearest(point, centres) for point in points]
    residuals = [np.subtract(p, centres[c]) for p, c in zip(points, cells, strict=True)]
    assert_adds(contributions_to(sums, profiles)["sums"], cells, residuals)
    assert max(math.hypot(*point) for point in points) <= 1 + 1e-6
    weights = replace(item_weights(), centroids=centres, space=space)
    assert contributions_to(weights, profiles)["by_cluster"].cells.tolist() == cells
    parts: dict[str, Any] = {f"taste_{n}": one for n, one in space.taste.parts().items()}
    pushed = a_map(centres, taste_share=share, **parts)
    asked = MapQuality(cluster_map=pushed, largest_distance=1.5)
    squares = [[min(min(distances(point, centres)) / 1.5, 1.0) ** 2] for point in points]
    assert_adds(contributions_to(asked, profiles)["squared_distance"], [0] * 20, squares)
    assert pushed.clusters_of(profiles.vectors, profiles.last_days).tolist() == cells


def gain_of(days: dict[int, float], logs: list[float], lifts: list[list[float]]) -> float:
    """Return the mean discounted gain of the latest tenth of items 0 to 3, at least one."""
    newest = sorted(days, key=lambda item: (days[item], item))
    latest, earlier = newest[: max(1, len(newest) // 10)], newest[max(1, len(newest) // 10) :]
    fits = [sum(group[item] for item in earlier) for group in lifts]
    group = lifts[fits.index(max(fits))]
    open_items = [item for item in range(4) if item not in earlier]
    ranked = sorted(open_items, key=lambda item: -(logs[item] + group[item]))
    return sum(1 / math.log2(2 + ranked.index(item)) for item in latest) / len(latest)


def test_grouping_gains_add_how_much_better_than_the_first_the_latest_items_are_told() -> None:
    question, profiles = grouping_gains(), people()
    place = {0: 0, 1: 1, 3: 2, 4: 3}
    expected = []
    for user in range(len(profiles)):
        row = profiles.last_days[user]
        met = zip(row.indices.tolist(), row.data.tolist(), strict=True)
        days = {place[item]: age for item, age in met if item in place}
        gains = [0.0] * 3
        if len(days) > 1:
            logs, lifts = question.logs.tolist(), question.lifts.tolist()
            gains = [gain_of(days, logs, grouping) for grouping in lifts]
        expected.append([gain - gains[0] for gain in gains[1:]])
    assert np.abs(expected).max() > 0.1
    assert_adds(contributions_to(question, profiles)["gains"], [0] * 20, expected)


@pytest.mark.parametrize("k", [2, 4])
def test_map_quality_adds_the_simplified_silhouette_and_the_squared_distance(k: int) -> None:
    question = quality(k)
    silhouettes, squares = [], []
    for vector in vectors_of(people()):
        own, other = sorted(distances(vector, question.cluster_map.centroids))[:2]
        silhouettes.append([(other - own) / max(own, other)])
        squares.append([min(own / 1.5, 1.0) ** 2])
    answer = contributions_to(question, people())
    assert_adds(answer["silhouette"], [0] * 20, silhouettes)
    assert_adds(answer["squared_distance"], [0] * 20, squares)
    assert np.abs(answer["silhouette"].rows).max() <= 1


def test_a_user_on_a_centroid_or_between_two_has_a_defined_silhouette() -> None:
    centroids = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0]], np.float32)
    question = MapQuality(cluster_map=a_map(centroids), largest_distance=2.0)
    users = profiles_of([[1.0, 0.0, 0.0], [0.6, 0.6, 0.0], [0.0, 1.0, 0.0]])
    rows = contributions_to(question, users)["silhouette"].rows[:, 0]
    np.testing.assert_allclose(rows, [1.0, 0.0, 0.0], atol=1e-6)


def test_an_item_met_just_recently_enough_counts_twice() -> None:
    users = profiles_of(unit(0, 1), [{0: 60.0, 1: 60.1}], N_ITEMS)
    taste = contributions_to(item_weights(), users)["overall"].rows[0]
    assert taste[0] == pytest.approx(2 * taste[1])


def test_who_did_little_says_little() -> None:
    users = profiles_of(unit(0, 2), [{0: 90.0}, dict.fromkeys(range(5), 90.0)], N_ITEMS)
    short, longer = np.linalg.norm(contributions_to(item_weights(), users)["overall"].rows, axis=1)
    assert short == pytest.approx(0.8 / 2.5)
    assert longer == pytest.approx(0.8 * math.sqrt(5) / 2.5)


def test_the_nearest_centre_is_found_in_double_precision() -> None:
    around = unit(5, 1, 32)
    rng = np.random.default_rng(6)
    centres = around + 1e-4 * rng.standard_normal((20, 32)).astype(np.float32)
    users = profiles_of(around + 1e-4 * rng.standard_normal((50, 32)).astype(np.float32))
    question = distance_histogram(centres, largest=1.0, bins=2)
    weights = ItemWeights(
        centroids=centres, n_items=5, recent_days=1, saturation=1, cluster_weight=0.5
    )
    expected = [nearest(vector, centres) for vector in vectors_of(users)]
    single = (
        (users.vectors**2).sum(1)[:, None] - 2 * users.vectors @ centres.T + (centres**2).sum(1)
    )
    assert single.argmin(axis=1).tolist() != expected  # single precision would not do
    assert contributions_to(weights, users)["by_cluster"].cells.tolist() == expected
    assert contributions_to(question, users)["histogram"].cells.tolist() == [0] * 50


@pytest.mark.parametrize("width", [0, 2])
def test_second_moments_add_the_users_coordinates(width: int) -> None:
    question = second_moments(width)
    moved = np.array(vectors_of(people())) - question.origin.astype(np.float64)
    expected = moved @ question.basis.astype(np.float64) if width else moved
    assert_adds(contributions_to(question, people())["moments"], [0] * 20, expected)


def test_batches_of_users_add_what_all_of_them_add(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.contributions.USERS_AT_A_TIME", 7)
    for question in QUESTIONS.values():
        whole = contributions_to(question, people())
        parts = list(batches_of_contributions(question, people()))
        assert [
            len(part["sums" if "sums" in part else next(iter(part))].cells) for part in parts
        ] == [
            7,
            7,
            6,
        ]
        for name, everybody in whole.items():
            np.testing.assert_array_equal(
                np.concatenate([part[name].rows for part in parts]), everybody.rows
            )
            np.testing.assert_array_equal(
                np.concatenate([part[name].cells for part in parts]), everybody.cells
            )


def test_mistake_in_a_later_batch_reaches_whoever_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.contributions.USERS_AT_A_TIME", 7)

    class Unheard:
        def blocks(self) -> tuple[Block, ...]:
            return (Block(name="any", cells=1, width=1, clipping_norm=1.0),)

    batches = batches_of_contributions(Unheard(), people())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Nobody knows how to answer a Unheard"):
        next(batches)


def test_wide_rows_are_made_for_fewer_users_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.contributions.ENTRIES_AT_A_TIME", 60)
    sizes = {kind: users_at_a_time(question) for kind, question in QUESTIONS.items()}
    widths = {
        kind: max(block.width for block in question.blocks())
        for kind, question in QUESTIONS.items()
    }
    assert sizes == {kind: max(1, 60 // width) for kind, width in widths.items()}


def test_whoever_stops_summing_leaves_no_thread_and_no_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("client.contributions.USERS_AT_A_TIME", 3)
    np.eye(2) @ np.eye(2)  # loads the library whose threads are limited
    before = threading.active_count(), [pool["num_threads"] for pool in threadpool_info()]
    batches = batches_of_contributions(next(iter(QUESTIONS.values())), people())
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    after = threading.active_count(), [pool["num_threads"] for pool in threadpool_info()]
    assert after == before


VECTORS = arrays(
    np.float32,
    st.tuples(st.integers(0, 6), st.just(DIM)),
    elements=st.floats(-1, 1, width=32),
)
LAST_DAYS = st.lists(
    st.dictionaries(st.integers(0, N_ITEMS - 1), st.floats(0, 1000)), min_size=6, max_size=6
)


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@given(vectors=VECTORS, last_days=LAST_DAYS)
@settings(max_examples=40, deadline=None)
def test_every_row_is_within_its_blocks_clipping_norm(
    question: Question, vectors: FloatArray, last_days: list[dict[int, float]]
) -> None:
    users = profiles_of(vectors, last_days[: len(vectors)], N_ITEMS)
    users = replace(users, feedback=feedback(len(vectors), len(vectors)))
    answer = contributions_to(question, users)
    for block in question.blocks():
        part = answer[block.name]
        lengths = np.linalg.norm(part.rows.astype(np.float64), axis=1)
        assert part.rows.shape == (len(vectors), block.width)
        assert ((part.cells >= 0) & (part.cells < block.cells)).all()
        assert np.isfinite(lengths).all()
        if block.name not in LEFT_TO_THE_DOOR:
            assert (lengths <= block.clipping_norm * (1 + 1e-6)).all()


def query_of(question: Question) -> SumQuery:
    return SumQuery(
        purpose="test",
        kind=question.kind,
        blocks=question.blocks(),
        sigma=5.0,
        trust_model=TrustModel.LOCAL,
        run="run-1",
        round_number=1,
        nonce="",
    )


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_a_region_without_users_adds_nothing_and_fits_the_query(question: Question) -> None:
    nobody = profiles_of(np.zeros((0, DIM)), (), N_ITEMS)
    answer = contributions_to(question, nobody)
    assert all(len(part.cells) == len(part.rows) == 0 for part in answer.values())
    check_contributions(query_of(question), answer)


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_a_region_without_events_adds_nothing_and_fits_the_query(question: Question) -> None:
    nobody = build_profiles(
        usable([]),
        tuple(f"item-{number}" for number in range(N_ITEMS)),
        unit(0, N_ITEMS),
        as_of=AS_OF,
        half_life_days=90,
    )
    check_contributions(query_of(question), contributions_to(question, nobody))


def test_what_is_no_question_is_an_error() -> None:
    with pytest.raises(TypeError, match="Nobody knows how to answer a str"):
        contributions_to(cast(Question, "who are you?"), people())
