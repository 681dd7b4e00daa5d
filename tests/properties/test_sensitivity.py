"""Adding or removing one user changes a query's exact answer by at most its sensitivity.

Exactly: sums are compared as whole numbers of steps, bounds as fractions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from client.contributions import contributions_to
from client.feedback import Feedback
from client.interest_profile import InterestProfiles
from privacy.clipping import clipped_sum
from privacy.door import _clip_and_sum
from privacy.query import Block, Contributions, FloatArray, IntArray, SumQuery, TrustModel
from strategies import exact_geometry
from strategies.cluster_map import ClusterMap
from strategies.item_space import ItemSpace
from strategies.questions import (
    QUESTION_TYPES,
    CellSums,
    GroupingGains,
    ItemPopularity,
    ItemWeights,
    ListFeedback,
    ListVotes,
    MapQuality,
    Question,
    Request,
    SecondMoments,
    TasteMoments,
    TasteProjection,
)
from strategies.taste import Taste
from tests.privacy.examples import a_block, a_query, users
from tests.strategies.examples import distance_histogram

LENGTHS = (0.0, 1e-38, 1e-30, 1e-6, 0.5, 1.0, 1.0 + 1e-6, 2.0, 1e10, 1e18, 1e30)
"""Of a user's row, in clipping norms: nothing, tiny, within, exact, just beyond, huge."""

BATCH = 2048
Totals = Mapping[str, IntArray]


def squared_change(one: Totals, other: Totals) -> int:
    """Squared L2 distance of two exact answers over all their blocks, in squared steps."""
    changes = np.concatenate([(one[name] - other[name]).ravel() for name in one])
    return sum(int(change) ** 2 for change in changes)


def within(query: SumQuery, one: Totals, other: Totals, *, users: int = 1) -> bool:
    """Tell whether two answers are no further apart than so many users may move them."""
    change = squared_change(one, other) * Fraction(query.step) ** 2
    return change <= (users * Fraction(query.sensitivity)) ** 2


@dataclass(frozen=True)
class Neighbours:
    """A query, and data sets of which one has one user more."""

    query: SumQuery
    everybody: dict[str, Contributions]
    one_less: dict[str, Contributions]


@st.composite
def rows(draw: st.DrawFn, n: int, block: Block) -> npt.NDArray[np.float32]:
    entry = st.integers(-3, 3)
    directions = draw(
        st.lists(
            st.lists(entry, min_size=block.width, max_size=block.width), min_size=n, max_size=n
        )
    )
    lengths = draw(st.lists(st.sampled_from(LENGTHS), min_size=n, max_size=n))
    array = np.array(directions, dtype=np.float64).reshape(n, block.width)
    norms = np.maximum(np.linalg.norm(array, axis=1, keepdims=True), 1.0)
    scale = np.array(lengths).reshape(n, 1) * block.clipping_norm
    clean: npt.NDArray[np.float64] = array / norms * scale
    return clean.astype(np.float32)


@st.composite
def neighbours(draw: st.DrawFn) -> Neighbours:
    n = draw(st.integers(1, 8))
    removed = draw(st.integers(0, n - 1))
    blocks, everybody, one_less = [], {}, {}
    for name in draw(st.sampled_from([("sums",), ("sums", "counts")])):
        block = a_block(
            name,
            cells=draw(st.integers(1, 3)),
            width=draw(st.integers(1, 4)),
            clipping_norm=draw(st.sampled_from([1e-6, 1e-3, 0.1, 1.0, 2.0, 100.0, 1e6])),
        )
        cell = st.integers(0, block.cells - 1)
        cells = np.array(draw(st.lists(cell, min_size=n, max_size=n)), dtype=np.int64)
        array = draw(rows(n, block))
        blocks.append(block)
        everybody[name] = Contributions(cells, array)
        one_less[name] = Contributions(np.delete(cells, removed), np.delete(array, removed, axis=0))
    sigma = 2 * math.hypot(*(block.clipping_norm for block in blocks))
    return Neighbours(a_query(*blocks, sigma=sigma), everybody, one_less)


@given(neighbours())
@example(
    Neighbours(
        a_query(a_block(cells=1, width=1), a_block("counts", cells=1, width=1)),
        {"sums": users([[1.0]], width=1), "counts": users([[1.0]], width=1)},
        {"sums": users([], width=1), "counts": users([], width=1)},
    )
)
@settings(max_examples=80, deadline=None)
def test_one_user_changes_the_answer_by_at_most_the_sensitivity(case: Neighbours) -> None:
    assert within(
        case.query,
        _clip_and_sum(case.query, case.everybody),
        _clip_and_sum(case.query, case.one_less),
    )


def test_the_sensitivity_is_not_larger_than_it_must_be() -> None:
    query = a_query(a_block(), a_block("counts", width=1, clipping_norm=0.5))
    alone = {"sums": users([[30.0, 40.0]]), "counts": users([[9.0]], width=1)}
    nobody = {"sums": users([]), "counts": users([], width=1)}
    change = squared_change(_clip_and_sum(query, alone), _clip_and_sum(query, nobody))
    assert math.sqrt(change) * query.step == pytest.approx(query.sensitivity, rel=1e-6)


def test_the_comparison_notices_a_single_step_too_much() -> None:
    query = a_query(a_block(cells=1, width=1))
    longest = math.isqrt(query.longest_row(query.blocks[0]))
    nothing, most, more = ({"sums": np.array([[steps]])} for steps in (0, longest, longest + 1))
    assert within(query, most, nothing)
    assert not within(query, more, nothing)


def test_one_user_more_in_a_large_silo_adds_that_users_row_and_nothing_else() -> None:
    query = a_query(a_block(cells=1, width=1))
    silo = silo_that_rounds_down_or_up()
    newcomer = np.full((1, 1), 0.75, dtype=np.float32)
    crowd = np.vstack([newcomer, silo])
    without = clipped_sum(query, query.blocks[0], users(silo, width=1), batch=BATCH)
    together = clipped_sum(query, query.blocks[0], users(crowd, width=1), batch=BATCH)
    alone = clipped_sum(query, query.blocks[0], users(newcomer, width=1))
    np.testing.assert_array_equal(together - without, alone)


def silo_that_rounds_down_or_up() -> npt.NDArray[np.float32]:
    """Make users whose sum, in float32, rounds down in every batch but the first 22.

    One user more in front moves each batch's last user into the next batch, and
    all of these batches round up instead: in single precision, the answer
    would change by far more than one user's row.
    """
    grid = 2.0**-6  # what float32 can tell apart in sums between 2^17 and 2^18
    step = 2.0**-12
    silo = np.zeros((56, BATCH, 1), dtype=np.float32)
    silo[:22] = 0.75
    last = 0.5 - step * np.arange(34)
    silo[22:, -1, 0] = last
    silo[22:, 0, 0] = 0.5 + grid / 2 - step / 2 - last
    return silo.reshape(-1, 1)


# What users add to each kind of question, from their profiles on.

HOSTILE = (np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 4.0, 4.0 + 2**-20)
"""Entries of a vector that no encoder gives; some lie at the edge of the exact geometry."""
N_ITEMS = 6


@dataclass(frozen=True)
class Case:
    """A question and two silos, of one person each more than ``common``."""

    question: Question
    common: InterestProfiles
    one_more: InterestProfiles
    another: InterestProfiles


def people(
    vectors: FloatArray, last_days: npt.NDArray[np.float64], feedback: Feedback | None = None
) -> InterestProfiles:
    """Return users; what they never met has a negative number of days."""
    user, item = np.nonzero(~(last_days < 0))
    met = csr_matrix((last_days[user, item], (user, item)), shape=last_days.shape)
    return InterestProfiles(
        user_ids=tuple(f"user-{number}" for number in range(len(vectors))),
        item_ids=tuple(f"item-{number}" for number in range(last_days.shape[1])),
        item_vectors=unit_rows(np.random.default_rng(4), last_days.shape[1], vectors.shape[1]),
        vectors=vectors,
        counts=met,
        last_days=met,
        first_days=met,
        habits=met,
        feedback=feedback,
    )


def some_feedback(arms: Sequence[int], numbers: npt.NDArray[np.int64]) -> Feedback:
    """Return shown, accepted and skipped items and milliseconds, a row of each for each user."""
    shown, accepted, skipped, dwell_ms = numbers
    return Feedback(
        arms=np.array(arms, dtype=np.int64),
        shown=shown,
        accepted=accepted,
        skipped=skipped,
        dwell_ms=dwell_ms,
    )


def of(feedback: Feedback | None, kept: Sequence[int]) -> Feedback | None:
    """Return some of the users' feedback, in this order."""
    if feedback is None:
        return None
    names = ("arms", "shown", "accepted", "skipped", "dwell_ms")
    return Feedback(**{name: getattr(feedback, name)[list(kept)] for name in names})


def only(profiles: InterestProfiles, kept: Sequence[int]) -> InterestProfiles:
    """Return some of the users, in this order."""
    days = np.full(profiles.last_days.shape, -1.0)
    met = profiles.last_days.tocoo()
    days[met.row, met.col] = met.data
    return people(profiles.vectors[list(kept)], days[list(kept)], of(profiles.feedback, kept))


def unit_rows(rng: np.random.Generator, n: int, width: int) -> FloatArray:
    rows = rng.standard_normal((n, width))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@st.composite
def vectors(draw: st.DrawFn, n: int, width: int, centres: FloatArray) -> FloatArray:
    """Draw usual vectors, zeros, ties between two centres, and what no encoder gives."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    found = unit_rows(rng, n, width)
    kinds = st.sampled_from(["usual", "zero", "centre", "tie", "huge", "hostile"])
    for user, kind in enumerate(draw(st.lists(kinds, min_size=n, max_size=n))):
        one, other = centres[rng.integers(len(centres), size=2)]
        match kind:
            case "zero":
                found[user] = 0
            case "centre":
                found[user] = one
            case "tie":
                found[user] = (one + other) / 2
            case "huge":
                found[user] *= np.float32(10.0 ** rng.uniform(0, 37))
            case "hostile":
                found[user, rng.integers(width)] = rng.choice(HOSTILE)
    return found


def a_map(centroids: FloatArray, **changes: Any) -> ClusterMap:
    k = len(centroids)
    return ClusterMap(
        run="run-1",
        catalogue="catalogue-1",
        encoder="encoder-1",
        centroids=centroids,
        noisy_sizes=np.ones(k, np.float32),
        labels=[f"cluster {number}" for number in range(k)],
        item_weights=np.ones((k, N_ITEMS), np.float32),
        popularity=np.ones(N_ITEMS, np.float32),
        **changes,
    )


def a_draft(rng: np.random.Generator, centroids: FloatArray) -> ClusterMap:
    """Return a map with taste in which some items are equally good."""
    weights = rng.choice([0.0, 1.0, 1.0, 0.7], N_ITEMS).astype(np.float32)
    weights[:2] = 1
    m = np.count_nonzero(weights)
    return a_map(
        centroids,
        taste_weights=weights,
        taste_directions=np.linalg.qr(rng.standard_normal((m, 2)))[0].astype(np.float32),
        taste_strengths=np.array([0.9, 0.4], np.float32),
    )


OPTIONS = np.array(
    [[8, 0.3, 0.3, 0, 1], [1, 0, 0, 0, 0], [1e9, 2, 1, 1, 1], [0.1, 0.3, 0, 0, 0]], np.float32
)


@st.composite
def cell_sums(draw: st.DrawFn, centres: FloatArray, *, plane: bool) -> CellSums:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    d = centres.shape[1]
    m = draw(st.integers(1, d)) if plane else 0
    basis = np.linalg.qr(rng.standard_normal((d, d)))[0][:, :m].astype(np.float32)
    origin = draw(st.sampled_from([np.zeros(d, np.float32), centres[0], 3 * centres[-1]]))
    return CellSums(
        origin=origin,
        basis=basis,
        centres=centres[:, :m] if plane else centres,
        radius=draw(st.sampled_from([1e-4, 0.3, 0.7, 1.0, 2.0, 5e4])),
        count_weight=draw(st.sampled_from([0.1, 1 / 3, 1.0])),
    )


@st.composite
def second_moments(draw: st.DrawFn, centres: FloatArray, *, plane: bool) -> SecondMoments:
    like = draw(cell_sums(centres, plane=plane))
    radius = draw(st.sampled_from([1e-2, 0.3, 0.7, 1.0, 2.0, 50.0]))
    return SecondMoments(origin=like.origin, basis=like.basis, radius=radius)


def grouping_gains(seed: int, k: int = 2, *, largest: float = 0.1) -> GroupingGains:
    """Ask about items but the first; some lifts are equal, so that groups and ranks tie."""
    rng = np.random.default_rng(seed)
    lifts = rng.choice([-1.0, 0.0, 0.5, 1e3], size=(3, k, N_ITEMS - 1))
    return GroupingGains(
        items=(np.arange(N_ITEMS) > 0).astype(np.float32),
        logs=rng.choice([0.0, 0.1], size=N_ITEMS - 1).astype(np.float32),
        lifts=lifts.astype(np.float32),
        largest=largest,
    )


def a_space(share: float, directions: int = 2) -> ItemSpace:
    rng = np.random.default_rng(11)
    return ItemSpace(
        share=share,
        taste=Taste(
            weights=np.array([0, 0.5, 1, 2, 1, 0.3], np.float32),
            directions=np.linalg.qr(rng.standard_normal((5, directions)))[0].astype(np.float32),
            strengths=np.linspace(1, 0.2, directions, dtype=np.float32),
        ),
    )


def in_space(question: Any, space: ItemSpace) -> Question:
    """Return the question, which is about vectors of one dimension more each, in a space."""
    if not isinstance(question, MapQuality):
        return replace(question, space=space)  # type: ignore[no-any-return]
    parts: dict[str, Any] = {f"taste_{n}": one for n, one in space.taste.parts().items()}
    inside = replace(question.cluster_map, taste_share=space.share, **parts)
    return replace(question, cluster_map=inside)


KINDS = (
    "cell-sums",
    "cell-sums in a plane",
    "distance-histogram",
    "second-moments",
    "second-moments in a plane",
    "item-weights",
    "item-popularity",
    "item-popularity ever",
    "taste-moments",
    "list-feedback",
    "taste-projection",
    "grouping-gains",
    "map-quality",
    "list-votes",
    "list-votes without taste",
)
ARMS = ["plain", "varied", "popular"]


def list_feedback(dwell_cap: float = 60.0) -> ListFeedback:
    return ListFeedback(experiment="lists", arms=ARMS, window_days=30.0, dwell_cap=dwell_cap)


COUNTS = (0, 0, 1, 2, 7, -3, 10**6, 2**62)
"""Of items and milliseconds: usual ones, and what no store gives."""
TASTEFUL = ("cell-sums", "distance-histogram", "second-moments", "item-weights", "map-quality")
"""Kinds whose questions may take vectors in a space that has taste in it."""


def test_every_kind_of_question_is_here() -> None:
    assert {kind.partition(" ")[0] for kind in KINDS} == set(QUESTION_TYPES)


@st.composite
def questions(draw: st.DrawFn, kind: str, centres: FloatArray) -> Question:
    largest = draw(st.sampled_from([1e-6, 0.5, 1.5, 2.0, 1e6]))
    match kind:
        case "distance-histogram":
            return distance_histogram(centres, largest=largest, bins=draw(st.integers(1, 9)))
        case "second-moments" | "second-moments in a plane":
            return draw(second_moments(centres, plane=kind.endswith("plane")))
        case "item-weights":
            return ItemWeights(
                centroids=centres,
                n_items=N_ITEMS,
                recent_days=draw(st.sampled_from([0.0, 30.0, 1e6])),
                saturation=draw(st.sampled_from([1e-3, 1.0, 2.5, 1e3])),
                cluster_weight=draw(st.sampled_from([1e-3, 0.6, 0.8, 0.999])),
            )
        case "item-popularity" | "item-popularity ever":
            latest = 0 if kind.endswith("ever") else draw(st.integers(1, N_ITEMS + 1))
            return ItemPopularity(n_items=N_ITEMS, latest=latest)
        case "taste-moments":
            some = st.sampled_from([0.0, 1e-6, 0.3, 1.0, 7.5])
            weights = draw(st.lists(some, min_size=N_ITEMS, max_size=N_ITEMS))
            return TasteMoments(weights=np.array([*weights[1:], 0.7], np.float32))
        case "list-feedback":
            return list_feedback(draw(st.sampled_from([1e-3, 60.0, 86400.0])))
        case "list-votes" | "list-votes without taste":
            rng = np.random.default_rng(draw(st.integers(0, 2**32)))
            few = draw(st.integers(2, len(OPTIONS)))
            draft = a_draft(rng, centres) if kind == "list-votes" else a_map(centres)
            return ListVotes(cluster_map=draft, options=OPTIONS[:few])
        case "taste-projection":
            return draw(taste_projections())
        case "grouping-gains":
            seed, k = draw(st.integers(0, 2**32)), draw(st.integers(1, 3))
            return grouping_gains(seed, k, largest=draw(st.sampled_from([1e-3, 0.1, 1.0])))
        case "map-quality":
            return MapQuality(cluster_map=a_map(centres), largest_distance=largest)
        case _:
            return draw(cell_sums(centres, plane=kind.endswith("plane")))


@st.composite
def taste_projections(draw: st.DrawFn) -> TasteProjection:
    some = st.sampled_from([0.0, 1e-6, 0.3, 1.0, 7.5])
    weights = [*draw(st.lists(some, min_size=N_ITEMS - 1, max_size=N_ITEMS - 1)), 0.7]
    m = sum(weight > 0 for weight in weights)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    turned = np.linalg.qr(rng.standard_normal((m, m)))[0]
    return TasteProjection(
        weights=np.array(weights, np.float32),
        directions=turned[:, : draw(st.integers(1, m))].astype(np.float32),
        length=draw(st.sampled_from([1e-3, 0.3, 1.0])),
    )


@st.composite
def cases(draw: st.DrawFn, kind: str) -> Case:
    n = draw(st.integers(0, 5))  # beside the two who come and go; down to an empty silo
    width = draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    centres = unit_rows(rng, draw(st.integers(1, 4)), width)
    if draw(st.booleans()):
        centres = np.vstack([centres, centres[:1]])  # two centres at one place
    days = rng.choice([-1.0, -1.0, 0.0, 30.0, 60.0, np.nan, np.inf, 1e300], size=(n + 2, N_ITEMS))
    feedback = None
    if draw(st.booleans()):
        numbers = rng.choice(COUNTS, size=(4, n + 2)).astype(np.int64)
        feedback = some_feedback(rng.integers(len(ARMS), size=n + 2).tolist(), numbers)
    everybody = people(draw(vectors(n + 2, width, centres)), days, feedback)
    place = draw(st.integers(0, n))
    order = list(range(n))
    return Case(
        draw(questions(kind, centres)),
        only(everybody, order),
        only(everybody, [*order[:place], n, *order[place:]]),
        only(everybody, [*order[:place], n + 1, *order[place:]]),
    )


def query_of(question: Question) -> SumQuery:
    largest = math.hypot(*(block.clipping_norm for block in question.blocks()))
    return Request(
        run="run-1",
        round_number=1,
        purpose="any",
        trust_model=TrustModel.LOCAL,
        sigma=2 * largest,
        encoder="encoder-1",
        catalogue="catalogue-1",
        question=question,
    ).query()


def exact_answer(question: Question, profiles: InterestProfiles) -> Totals:
    with np.errstate(all="ignore"):  # nothing that a user has may raise
        return _clip_and_sum(query_of(question), contributions_to(question, profiles))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_no_person_changes_the_answer_to_a_question_by_more_than_its_sensitivity(
    kind: str, data: st.DataObject
) -> None:
    case = data.draw(cases(kind))
    query = query_of(case.question)
    common, one_more, another = (
        exact_answer(case.question, profiles)
        for profiles in (case.common, case.one_more, case.another)
    )
    assert within(query, one_more, common)
    assert within(query, another, common)
    assert within(query, one_more, another, users=2)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_what_one_person_adds_does_not_depend_on_the_others_to_the_last_bit(
    kind: str, data: st.DataObject
) -> None:
    case = data.draw(cases(kind))
    together = exact_answer(case.question, case.one_more)
    alone = [
        exact_answer(case.question, only(case.one_more, [user]))
        for user in range(len(case.one_more.user_ids))
    ]
    for name, total in together.items():
        np.testing.assert_array_equal(total, sum(answer[name] for answer in alone))


@pytest.mark.parametrize("share", [0.4, 1.0])
@pytest.mark.parametrize("kind", TASTEFUL)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_the_same_holds_in_a_space_with_taste(kind: str, share: float, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    space, text = a_space(share), 3
    centres = unit_rows(rng, 3, space.dim(text))
    question = in_space(data.draw(questions(kind, centres)), space)
    days = rng.choice([-1.0, -1.0, 0.0, 30.0, np.nan, np.inf, 1e300], size=(6, N_ITEMS))
    everybody = people(data.draw(vectors(6, text, unit_rows(rng, 3, text))), days)
    total = exact_answer(question, everybody)
    alone = [exact_answer(question, only(everybody, [user])) for user in range(6)]
    nobody = exact_answer(question, only(everybody, []))
    for one in alone:
        assert within(query_of(question), one, nobody)
    for name, found in total.items():
        np.testing.assert_array_equal(found, sum(answer[name] for answer in alone))


def a_question(kind: str, centres: FloatArray) -> Question:
    """Return a usual one of each kind."""
    d = centres.shape[1]
    plane = np.linalg.qr(np.random.default_rng(5).standard_normal((d, d)))[0].astype(np.float32)
    usual: dict[str, Any] = {"radius": 0.7, "count_weight": 0.3}
    made: dict[str, Question] = {
        "cell-sums": CellSums(
            origin=np.zeros(d, np.float32), basis=plane[:, :0], centres=centres, **usual
        ),
        "cell-sums in a plane": CellSums(
            origin=centres[0], basis=plane[:, :3], centres=centres[:, :3].copy(), **usual
        ),
        "distance-histogram": distance_histogram(centres),
        "second-moments": SecondMoments(
            origin=np.zeros(d, np.float32), basis=plane[:, :0], radius=0.7
        ),
        "second-moments in a plane": SecondMoments(
            origin=centres[0], basis=plane[:, :3], radius=0.7
        ),
        "item-weights": ItemWeights(
            centroids=centres, n_items=N_ITEMS, recent_days=60, saturation=2.5, cluster_weight=0.6
        ),
        "item-popularity": ItemPopularity(n_items=N_ITEMS, latest=2),
        "item-popularity ever": ItemPopularity(n_items=N_ITEMS, latest=0),
        "taste-moments": TasteMoments(weights=np.linspace(0, 1.3, N_ITEMS, dtype=np.float32)),
        "list-feedback": list_feedback(),
        "taste-projection": TasteProjection(
            weights=np.ones(N_ITEMS, np.float32),
            directions=np.full((N_ITEMS, 1), N_ITEMS**-0.5, np.float32),
            length=0.9,
        ),
        "grouping-gains": grouping_gains(1),
        "map-quality": MapQuality(cluster_map=a_map(centres), largest_distance=1.5),
        "list-votes": ListVotes(
            cluster_map=a_draft(np.random.default_rng(1), centres), options=OPTIONS
        ),
        "list-votes without taste": ListVotes(cluster_map=a_map(centres), options=OPTIONS),
    }
    return made[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_one_person_in_front_of_many_moves_all_batches_and_changes_nothing_else(kind: str) -> None:
    rng = np.random.default_rng(0)
    n, width = max(BATCH, exact_geometry.BATCH) * 2 + 1, 33
    centre = unit_rows(rng, 1, width)
    centres = np.vstack([centre, centre[:, ::-1]])
    everybody = unit_rows(rng, n, width)
    everybody += everybody[:, ::-1]  # so as far from one centre as from its mirror image
    days = np.where(rng.random((n, N_ITEMS)) < 0.5, rng.uniform(0, 100, (n, N_ITEMS)), -1.0)
    feedback = some_feedback(rng.integers(3, size=n).tolist(), rng.integers(0, 50, (4, n)))
    crowd = people(everybody, days, feedback)
    question = a_question(kind, centres)
    together = exact_answer(question, crowd)
    without = exact_answer(question, crowd.part(slice(1, None)))
    alone = exact_answer(question, crowd.part(slice(0, 1)))
    for name, total in together.items():
        np.testing.assert_array_equal(total - without[name], alone[name])


@pytest.mark.parametrize("kind", KINDS)
def test_a_person_can_use_up_most_of_the_sensitivity(kind: str) -> None:
    # So the bounds above are not kept by adding nothing.
    centres = unit_rows(np.random.default_rng(0), 4, 5)
    question = a_question(kind, centres)
    query = query_of(question)
    everything = some_feedback([1], np.array([[1], [1], [0], [60_000]]))
    days = np.ones((1, N_ITEMS))
    if kind == "grouping-gains":
        days[0, 3:] = -1  # who met everything leaves nothing to rank
    person = people(-5 * centres[:1], days, everything)
    nobody = only(person, [])
    change = squared_change(exact_answer(question, person), exact_answer(question, nobody))
    assert math.sqrt(change) * query.step >= 0.75 * query.sensitivity


def test_a_row_of_feedback_that_is_not_clipped_is_longer_than_the_sensitivity() -> None:
    # So the bound is the door's work: what a store could never hold would break it otherwise.
    question = list_feedback()
    query = query_of(question)
    impossible = some_feedback([0], np.array([[1], [9], [9], [10**9]]))
    person = people(np.zeros((1, 3), np.float32), np.ones((1, N_ITEMS)), impossible)
    row = contributions_to(question, person)["arms"].rows[0]
    unclipped = {"arms": np.zeros((3, 4), dtype=np.int64)}
    unclipped["arms"][0] = (row.astype(np.float64) / query.step).astype(np.int64)
    nobody = exact_answer(question, only(person, []))
    assert not within(query, unclipped, nobody)
    assert within(query, exact_answer(question, person), nobody)
