"""What a region says of feedback: of the right users, arm and time, with noise, or not at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from client.answering import answer
from client.contributions import contributions_to
from client.experiment import Arm, Assignment, Experiment
from client.feedback import Feedback, read_feedback
from client.feedback_store import Answered, FeedbackStore, Response, ShownList
from client.recommendation_files import show_recommendations
from client.region import Region, open_region
from privacy.policy import Policy
from privacy.release import Refusal, Release
from privacy.window import Window, WindowEvents
from strategies.questions import ListFeedback
from tests.client.examples import AS_OF, a_region, a_request, region_map, write_settings
from tests.privacy.examples import a_policy

NOW = datetime(2017, 12, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LISTS = Experiment(name="lists", arms=(Arm(name="plain"), Arm(name="varied")))
ASSIGNMENT = Assignment(LISTS, bytes(32))
EVERYBODY = tuple(f"user-{number}" for number in range(40))


def a_question(**changes: Any) -> ListFeedback:
    usual: dict[str, Any] = {
        "experiment": "lists",
        "arms": ["plain", "varied"],
        "window_days": 30.0,
        "dwell_cap": 60.0,
    }
    return ListFeedback(**(usual | changes))


def shown(user: str, arm: str | None = None, experiment: str = "lists") -> ShownList:
    own = ASSIGNMENT.arm_of(user).name
    items = [("tea", ""), ("milk", "")]
    return ShownList(user_id=user, items=items, experiment=experiment, arm=arm or own)


@pytest.fixture
def store(tmp_path: Path) -> FeedbackStore:
    made = FeedbackStore(tmp_path / "feedback.sqlite", keep_days=100)
    made.record([shown(user) for user in EVERYBODY[:30]], NOW - DAY)
    responses = [
        Answered(
            user_id=user,
            item_id="tea",
            response=Response.ACCEPTED if number % 3 else Response.SKIPPED,
            moment=NOW - DAY,
            dwell=float(number * 7),
        )
        for number, user in enumerate(EVERYBODY[:30])
    ]
    with made.answering(responses, NOW):
        pass
    return made


def found_in(
    store: FeedbackStore,
    users: tuple[str, ...] = EVERYBODY,
    within: Window | None = None,
    **changes: Any,
) -> Feedback:
    return read_feedback(store, ASSIGNMENT, a_question(**changes), users, moment=NOW, within=within)


def test_it_is_read_for_each_user_by_the_own_arm(store: FeedbackStore) -> None:
    found = found_in(store)
    assert found.arms.tolist() == [ASSIGNMENT.number_of(user) for user in EVERYBODY]
    assert found.shown.tolist() == [2] * 30 + [0] * 10
    assert found.accepted.tolist() == [int(n % 3 > 0) for n in range(30)] + [0] * 10
    assert found.skipped.tolist() == [int(n % 3 == 0) for n in range(30)] + [0] * 10
    assert found.dwell_ms.tolist() == [min(n * 7000, 60_000) for n in range(30)] + [0] * 10


def test_other_arms_experiments_and_users_do_not_count(store: FeedbackStore) -> None:
    before = found_in(store)
    wrong = {"plain": "varied", "varied": "plain"}
    user = EVERYBODY[0]
    store.record([shown(user, arm=wrong[ASSIGNMENT.arm_of(user).name])], NOW - DAY)
    store.record([shown(user, experiment="other"), shown("a stranger")], NOW - DAY)
    after = found_in(store)
    assert after.shown.tolist() == before.shown.tolist()


def test_a_users_numbers_depend_on_that_users_rows_alone(store: FeedbackStore) -> None:
    everybody = found_in(store)
    store.erase(EVERYBODY[7])
    without = found_in(store)
    for name in ("arms", "shown", "accepted", "skipped", "dwell_ms"):
        one, other = getattr(everybody, name).copy(), getattr(without, name).copy()
        if name != "arms":
            assert other[7] == 0
        one[7] = other[7] = 0
        np.testing.assert_array_equal(one, other)
    alone = found_in(store, users=EVERYBODY[9:10])
    assert alone.dwell_ms.tolist() == everybody.dwell_ms[9:10].tolist()


def test_only_what_was_shown_in_time_counts(store: FeedbackStore) -> None:
    store.record([shown(EVERYBODY[0])] * 3, NOW - 31 * DAY)
    store.record([shown(EVERYBODY[0])] * 5, NOW - 99 * DAY)
    store.record([shown(EVERYBODY[0])] * 7, NOW)
    store.record([shown(EVERYBODY[0])] * 11, NOW + timedelta(seconds=1))

    def items(within: Window | None = None, **changes: Any) -> int:
        return int(found_in(store, within=within, **changes).shown[0])

    assert items() == 2 * (1 + 7)
    assert items(window_days=60.0) == 2 * (1 + 7 + 3)
    assert items(window_days=3000.0) == 2 * (1 + 7 + 3 + 5)
    assert items(Window(NOW - 40 * DAY, NOW), window_days=60.0) == 2 * (1 + 3)
    old = FeedbackStore(store.path, keep_days=10)
    assert read_feedback(
        old, ASSIGNMENT, a_question(window_days=60.0), EVERYBODY, moment=NOW, within=None
    ).shown[0] == 2 * (1 + 7)


def test_parts_of_users_have_their_own_feedback(store: FeedbackStore) -> None:
    found = found_in(store)
    part = found.part(slice(3, None, 4))
    assert part.dwell_ms.tolist() == found.dwell_ms.tolist()[3::4]
    assert part.arms.tolist() == found.arms.tolist()[3::4]


EXPERIMENT = {"name": "lists", "arms": [{"name": "plain"}, {"name": "varied", "variety": 0.5}]}
ANSWERS = {"answers": {"questions": ["cell-sums", "map-quality", "list-feedback"]}}


@pytest.fixture
def lists_region(tmp_path: Path, fake_encoder: None) -> Region:
    settings = {"feedback": "feedback.sqlite", "experiment": EXPERIMENT}
    return a_region(tmp_path / "north", policy=ANSWERS, settings=settings)


def ask(region: Region, **changes: Any) -> Release | Refusal:
    reply = answer(region, a_request(region, a_question(**changes), sigma=3.0))
    assert isinstance(reply, Release | Refusal)
    return reply


def store_of(region: Region) -> FeedbackStore:
    assert region.feedback_store is not None
    return region.feedback_store


def test_a_region_answers_with_noise_and_says_no_exact_count(lists_region: Region) -> None:
    assert lists_region.assignment is not None
    own = lists_region.assignment.number_of("anna")
    arm = lists_region.assignment.experiment.arms[own].name
    store_of(lists_region).record(
        [ShownList(user_id="anna", items=[("tea", "")], experiment="lists", arm=arm)], NOW - DAY
    )
    tea = Answered(user_id="anna", item_id="tea", response=Response.ACCEPTED, moment=NOW - DAY)
    with store_of(lists_region).answering([tea], NOW):
        pass
    users = lists_region.users_with_feedback(a_question(), lists_region.door.policy, None)
    exact = np.zeros((2, 4))
    part = contributions_to(a_question(), users)["arms"]
    np.add.at(exact, part.cells, part.rows)
    assert exact[own].tolist() == [0.5, 1.0, 0.0, 0.0]
    reply = ask(lists_region)
    assert isinstance(reply, Release)
    noise = reply.sums["arms"] - exact
    assert (np.abs(noise) > 1e-3).all()
    assert 1.0 < noise.std() < 6.0


def test_a_region_without_a_store_answers_with_noise_alone(
    tmp_path: Path, fake_encoder: None
) -> None:
    region = a_region(tmp_path, policy=ANSWERS, settings={"experiment": EXPERIMENT})
    reply = ask(region)
    assert isinstance(reply, Release)
    assert reply.sums["arms"].shape == (2, 4)
    assert not (tmp_path / "feedback.sqlite").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"experiment": "other"},
        {"arms": ["varied", "plain"]},
        {"arms": ["plain", "varied", "third"]},
        {"arms": ["plain", "other"]},
    ],
    ids=str,
)
def test_another_experiment_is_refused_for_free_whatever_the_data(
    lists_region: Region, changes: dict[str, Any]
) -> None:
    before = ask(lists_region, **changes)
    store_of(lists_region).record([shown("anna"), shown("bert")], NOW - DAY)
    after = ask(lists_region, **changes)
    for reply in (before, after):
        assert isinstance(reply, Refusal)
        assert reply.reason == "another-experiment"
    assert isinstance(before, Refusal)
    assert isinstance(after, Refusal)
    assert before.sentence == after.sentence
    assert not lists_region.door.ledger.account().entries


def test_a_region_without_an_experiment_refuses(tmp_path: Path, fake_encoder: None) -> None:
    region = a_region(tmp_path, policy=ANSWERS, settings={"feedback": "feedback.sqlite"})
    reply = ask(region)
    assert isinstance(reply, Refusal)
    assert reply.reason == "another-experiment"


def test_feedback_that_cannot_be_read_is_charged_nothing_and_stops_no_other_question(
    lists_region: Region,
) -> None:
    store_of(lists_region).path.write_bytes(b"these are no pages" * 1000)
    reply = ask(lists_region)
    assert isinstance(reply, Refusal)
    assert (reply.reason, reply.sentence) == (
        "client-failed",
        "The client failed. Nothing was sent.",
    )
    assert not lists_region.door.ledger.account().entries
    assert isinstance(answer(lists_region, a_request(lists_region)), Release)


def test_answers_of_a_window_are_made_of_what_was_shown_in_it(lists_region: Region) -> None:
    assert lists_region.assignment is not None
    arm = lists_region.assignment.arm_of("anna").name
    one = ShownList(user_id="anna", items=[("tea", "")], experiment="lists", arm=arm)
    store_of(lists_region).record([one], datetime(2017, 11, 10, tzinfo=UTC))
    store_of(lists_region).record([one, one], datetime(2017, 10, 20, tzinfo=UTC))
    november = Window(datetime(2017, 11, 1, tzinfo=UTC), datetime(2017, 12, 1, tzinfo=UTC))

    def items(policy: Policy) -> int:
        question = a_question(window_days=60.0)
        users = lists_region.users_with_feedback(question, policy, november)
        assert users.feedback is not None
        return int(users.feedback.shown[users.user_ids.index("anna")])

    assert items(a_policy(events=WindowEvents.WINDOW)) == 1
    assert items(a_policy(events=WindowEvents.ALL)) == 3


def test_everybodys_lists_are_made_by_the_own_arm_and_kept_as_shown(
    lists_region: Region, tmp_path: Path
) -> None:
    region_map(lists_region).save(lists_region.settings.cluster_map)
    out = tmp_path / "everybody.parquet"
    assert show_recommendations(lists_region, out, 2) == 2
    lists = pd.read_parquet(out)
    assert list(lists) == ["user_id", "rank", "item_id", "score"]
    assert lists_region.assignment is not None
    found = store_of(lists_region).outcomes("lists", NOW - DAY, NOW + DAY, 60.0)
    assert {key: one.shown for key, one in found.items()} == {
        (user, lists_region.assignment.arm_of(str(user)).name): len(own)
        for user, own in lists.groupby("user_id")
    }


def test_lists_that_cannot_be_kept_are_not_given_to_anybody(
    lists_region: Region, tmp_path: Path
) -> None:
    region_map(lists_region).save(lists_region.settings.cluster_map)
    store_of(lists_region).path.write_bytes(b"these are no pages" * 1000)
    out = tmp_path / "everybody.parquet"
    with pytest.raises(Exception, match="cannot be used"):
        show_recommendations(lists_region, out, 2)
    assert not out.exists()


@pytest.mark.usefixtures("fake_encoder")
def test_arms_make_the_lists_that_they_say(tmp_path: Path) -> None:
    arms = [{"name": "plain"}, {"name": "popular", "popularity-only": True}]
    region = a_region(tmp_path, settings={"experiment": {"name": "lists", "arms": arms}})
    popularity = np.array([1, 5, 2, 4, 3], np.float32)
    region_map(region, popularity=popularity).save(region.settings.cluster_map)
    assert region.experiment is not None
    plain, popular = region.experiment.arms
    bert = region.profiles.user_ids.index("bert")
    scores = region.recommender_of(popular).scores_of_new(np.array([bert]))[0]
    new = np.isfinite(scores)
    assert new.tolist() == [True, True, True, True, False]
    assert scores[new].tolist() == popularity[new].tolist()
    listed = region.recommender_of(popular).new_for("bert", 5)
    assert [one.kind for one in listed] == ["everybody"] * 4
    usual = region.recommender_of(None)
    np.testing.assert_array_equal(
        region.recommender_of(plain).scores_of_new(np.array([bert])),
        usual.scores_of_new(np.array([bert])),
    )
    assert usual.scores_of_new(np.array([bert])).tolist() != [scores.tolist()]


def test_settings_are_read_anew_with_a_region(lists_region: Region) -> None:
    folder = lists_region.settings.ledger.parent
    other = EXPERIMENT | {"name": "other"}
    path = write_settings(folder, feedback="feedback.sqlite", experiment=other)
    region = open_region(path)
    assert region.experiment is not None
    assert region.experiment.name == "other"
    assert lists_region.assignment is not None
    assert region.assignment is not None
    assert region.settings.secret == lists_region.settings.secret
    assert region.settings.as_of == datetime.fromisoformat(AS_OF)
    assert replace(region).profiles.feedback is None
