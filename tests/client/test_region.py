"""A region loads its parts when they are needed, and only parts that belong together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from client.errors import RecommendationError, SettingsError
from client.region import Region
from privacy.policy import Policy
from privacy.window import Window, WindowEvents
from tests.client.examples import PEOPLE, SHOP, a_region, region_map, write_policy
from tests.privacy.examples import a_policy


def test_profiles_come_from_the_settings_files(region: Region) -> None:
    assert region.profiles.user_ids == ("anna", "bert")
    assert region.profiles.item_ids == tuple(SHOP)
    assert region.item_vectors.shape == (len(SHOP), 4)


OCTOBER = Window(datetime(2017, 10, 1, tzinfo=UTC), datetime(2017, 11, 1, tzinfo=UTC))


def policy_with(events: WindowEvents) -> Policy:
    return a_policy(events=events)


@pytest.mark.usefixtures("fake_encoder")
def test_answers_of_a_window_are_made_of_its_own_events(tmp_path: Path) -> None:
    """From its first moment up to but without its last."""
    people = [
        ("before", "milk", "2017-09-30T23:59:59Z"),
        ("first", "milk", "2017-10-01T00:00:00Z"),
        ("last", "milk", "2017-10-31T23:59:59Z"),
        ("after", "milk", "2017-11-01T00:00:00Z"),
        ("both", "milk", "2017-09-01T00:00:00Z"),
        ("both", "tea", "2017-10-02T00:00:00Z"),
    ]
    region = a_region(tmp_path, people=people)
    profiles = region.users_for(policy_with(WindowEvents.WINDOW), OCTOBER)
    assert profiles.user_ids == ("both", "first", "last")
    met = dict(zip(profiles.user_ids, profiles.counts.toarray() > 0, strict=True))
    assert [list(SHOP)[item] for item in met["both"].nonzero()[0]] == ["tea"]


def test_answers_of_all_events_are_made_of_all_events(region: Region) -> None:
    assert region.users_for(policy_with(WindowEvents.ALL), OCTOBER) is region.profiles
    assert region.profiles.user_ids == ("anna", "bert")


def test_recommendations_are_made_of_all_events_whatever_answers_are_made_of(
    region: Region,
) -> None:
    assert region.users_for(policy_with(WindowEvents.WINDOW), OCTOBER).user_ids == ("bert",)
    region_map(region).save(region.settings.cluster_map)
    assert {item.item_id for item in region.recommender.usuals("anna")} == {"bread", "milk"}


@pytest.mark.parametrize("simulation", [{"noise-seed": 1}, None])
@pytest.mark.usefixtures("fake_encoder")
def test_a_simulated_regions_ledger_says_so_and_goes_by_its_moment(
    tmp_path: Path, simulation: dict[str, int] | None
) -> None:
    noise = "seeded" if simulation else "discrete"
    region = a_region(tmp_path, settings={"simulation": simulation, "noise": noise})
    account = region.door.ledger.account()
    assert account.identity.simulated is (simulation is not None)
    begun = datetime.fromisoformat(account.time)
    if simulation:
        assert begun == region.settings.moment
    else:
        assert abs(begun - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_changed_policy_is_in_force_at_the_next_answer(region: Region, tmp_path: Path) -> None:
    assert region.door.policy.budget.epsilon == 10.0
    write_policy(tmp_path, budget={"epsilon": 0.5})
    assert region.door.policy.budget.epsilon == 0.5


@pytest.mark.usefixtures("fake_encoder")
def test_a_policy_for_another_region_starts_nothing(tmp_path: Path) -> None:
    region = a_region(tmp_path, policy={"region": "south"})
    with pytest.raises(SettingsError, match="for region 'south', the agent is 'north'"):
        _ = region.door
    assert not (tmp_path / "ledger.sqlite").exists()


def test_without_a_map_nothing_is_recommended(region: Region) -> None:
    with pytest.raises(RecommendationError, match="no run has pushed a cluster map to north"):
        _ = region.recommender


def test_with_a_map_the_region_recommends(region: Region) -> None:
    region_map(region).save(region.settings.cluster_map)
    assert {item.item_id for item in region.recommender.usuals("anna")} == {"bread", "milk"}


@pytest.mark.usefixtures("fake_encoder")
def test_what_happens_after_the_moment_is_no_habit(tmp_path: Path) -> None:
    later = ("anna", "bread", "2017-12-24T18:00:00+01:00")
    region = a_region(tmp_path, people=[*PEOPLE, later])
    region_map(region).save(region.settings.cluster_map)
    reasons = {usual.item_id: usual.reason for usual in region.recommender.usuals("anna")}
    assert reasons["bread"] == "once before"


@pytest.mark.parametrize("about", ["catalogue", "encoder"])
def test_a_map_of_another_catalogue_or_encoder_is_not_recommended_from(
    region: Region, about: str
) -> None:
    region_map(region, **{about: "another"}).save(region.settings.cluster_map)
    with pytest.raises(RecommendationError, match="Nothing was recommended"):
        _ = region.recommender


def test_a_broken_map_is_an_error_for_people(region: Region) -> None:
    region.settings.cluster_map.write_bytes(b"no map")
    with pytest.raises(RecommendationError, match="Nothing was recommended"):
        _ = region.recommender


def test_items_are_encoded_only_once_for_all_regions_of_a_machine(region: Region) -> None:
    first = region.item_vectors
    again = Region(region.settings)
    np.testing.assert_array_equal(again.item_vectors, first)
    assert getattr(again.encoder, "seen", None) == []
