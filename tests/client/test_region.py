"""A region loads its parts when they are needed, and only parts that belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from client.errors import RecommendationError, SettingsError
from client.region import Region
from tests.client.examples import PEOPLE, SHOP, a_region, region_map


def test_profiles_come_from_the_settings_files(region: Region) -> None:
    assert region.profiles.user_ids == ("anna", "bert")
    assert region.profiles.item_ids == tuple(SHOP)
    assert region.item_vectors.shape == (len(SHOP), 4)


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
