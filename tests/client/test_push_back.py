"""What a server pushes back is kept whole, or the last good map stays; it is recommended from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import RecordDict

from client.answering import answer
from client.region import Region
from privacy.release import Release
from strategies.cluster_map import ClusterMap
from strategies.fusion import Fusion
from strategies.messages import (
    MessageError,
    pack_arrays,
    records_to_request,
    request_to_records,
    unpack_arrays,
)
from strategies.questions import Request
from tests.client.examples import LETTERS, SHOP, a_region, a_request, push_back
from tests.strategies.examples import a_key

SERVER = a_key("server")
LATER = 4_000_000_000
"""In seconds since 1970: the year 2096."""
N_ITEMS = len(SHOP)
TASTE: dict[str, Any] = {
    "recent_popularity": np.linspace(1, 2, N_ITEMS, dtype=np.float32),
    "taste_weights": np.array([1, 1, 1, 0, 0.5], np.float32),
    "taste_directions": np.linalg.qr(np.random.default_rng(0).normal(size=(4, 2)))[0].astype(
        np.float32
    ),
    "fusion": np.array([20, 0.25, 0.5, 0, 0.5], np.float32),
    "taste_strengths": np.array([0.9, 0.5], np.float32),
}
ARRAYS = [
    "map.centroids",
    "map.noisy_sizes",
    "map.item_weights",
    "map.popularity",
    "map.recent_popularity",
    "map.taste_weights",
    "map.taste_directions",
    "map.taste_strengths",
    "map.fusion",
]


@pytest.fixture
def region(tmp_path: Path, fake_encoder: None) -> Region:
    return a_region(tmp_path, policy={"trusted": {"server-keys": [SERVER.public]}})


def push(region: Region, number: int, label: str, **changes: Any) -> Request:
    question = push_back(region, labels=[label, label], **(TASTE | changes))
    return a_request(region, question, round_number=number)


def label_at(region: Region) -> str:
    return ClusterMap.load(region.settings.cluster_map).labels[0]


def test_taste_arrives_and_is_recommended_from(region: Region) -> None:
    sent = request_to_records(push(region, 1, "good").signed(SERVER, expires=LATER))
    assert isinstance(answer(region, records_to_request(sent)), Release)
    kept = ClusterMap.load(region.settings.cluster_map)
    for name, value in TASTE.items():
        np.testing.assert_array_equal(getattr(kept, name), value)
    assert kept.taste is not None
    assert {one.item_id for one in region.recommender.new_for("bert")} == set(SHOP) - {"soap"}


@pytest.mark.parametrize("lift", [0.0, 0.5])
def test_a_region_of_few_users_takes_what_was_voted_for_but_its_operators_lift(
    tmp_path: Path, fake_encoder: None, lift: float
) -> None:
    region = a_region(tmp_path, settings={"recent-lift": lift})
    answer(region, a_request(region, push_back(region, **TASTE)))
    assert region.recommender.fusion == Fusion(
        half_life=20.0, text=0.25, popularity=0.5, lift=lift, cluster=0.5
    )


def test_unsigned_or_anothers_map_leaves_the_last_good_one(region: Region) -> None:
    answer(region, push(region, 1, "good").signed(SERVER, expires=LATER))
    for number, other in (
        (2, push(region, 2, "bad")),
        (3, push(region, 3, "bad").signed(a_key("impostor"))),
    ):
        reply = answer(region, other)
        assert not isinstance(reply, Release), number
    assert label_at(region) == "good"
    assert isinstance(
        answer(region, push(region, 4, "better").signed(SERVER, expires=LATER)), Release
    )
    assert label_at(region) == "better"


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("harm", ["another value", "not a number", "cut"])
def test_a_map_that_was_corrupted_on_the_way_leaves_the_last_good_one(
    region: Region, name: str, harm: str
) -> None:
    answer(region, push(region, 1, "good").signed(SERVER, expires=LATER))
    records = request_to_records(push(region, 2, "bad").signed(SERVER, expires=LATER))
    spoil(records, name, harm)
    try:
        reply = answer(region, records_to_request(records))
    except MessageError:
        pass  # nothing that could be a map
    else:
        assert not isinstance(reply, Release)
    assert label_at(region) == "good"


def spoil(records: RecordDict, name: str, harm: str) -> None:
    arrays = unpack_arrays(records.array_records["arrays"])
    (key,) = [one for one in arrays if one.split(".")[-1] == name.split(".")[-1]]
    values = arrays[key].copy()
    if harm == "cut":
        values = values[:-1]
    else:
        values.flat[0] = np.nan if harm == "not a number" else values.flat[0] + 0.25
    records.array_records["arrays"] = pack_arrays(arrays | {key: values})


@pytest.mark.usefixtures("fake_encoder")
def test_items_that_came_and_went_since_the_events(tmp_path: Path) -> None:
    people = [("anna", "bread", "2017-11-01T09:00:00Z"), ("anna", "gone", "2017-11-02T09:00:00Z")]
    region = a_region(tmp_path, people=people, shop=SHOP | {"new": "a new bar"})
    n_items = len(SHOP) + 1
    unknown = {
        "item_weights": np.concatenate(
            [np.ones((2, n_items - 1), np.float32), np.full((2, 1), 0.05, np.float32)], axis=1
        ),
        "popularity": np.append(np.ones(n_items - 1), 0.05).astype(np.float32),
        "recent_popularity": np.ones(n_items, np.float32),
        "taste_weights": np.append(TASTE["taste_weights"], 0).astype(np.float32),
    }
    question = push_back(region, **(TASTE | unknown))
    answer(region, a_request(region, question))
    found = [one.item_id for one in region.recommender.new_for("anna")]
    assert set(found) == {*SHOP, "new"} - {"bread"}
    assert "gone" not in found
    assert region.dim == len(LETTERS)
