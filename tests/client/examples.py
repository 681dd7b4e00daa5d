"""A tiny shop, its people and a fake language model, which the tests of the client share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import tomli_w
from scipy.sparse import csr_matrix

from client.catalogue import Catalogue
from client.encoder import Encoder
from client.interest_profile import InterestProfiles
from client.region import Region, open_region
from privacy.query import FloatArray, TrustModel
from strategies.cluster_map import ClusterMap
from strategies.questions import CellSums, MapQuality, Question, Request

LETTERS = "abek"
"""A fake text vector counts these: four dimensions."""
SHOP = {
    "bread": "dark bread, baked",
    "cake": "a cake, baked",
    "milk": "milk",
    "tea": "a pack of black tea",
    "soap": "soap bar",
}
"""Item ids and their texts."""
AS_OF = "2017-12-01T00:00:00+00:00"
PEOPLE = (
    ("anna", "bread", "2017-11-01T09:00:00+01:00"),
    ("anna", "milk", "2017-11-02T09:00:00+01:00"),
    ("bert", "soap", "2017-10-01T09:00:00+02:00"),
)
"""Who bought what, and when."""


class FakeEncoder:
    """Counts letters, and remembers which texts it was asked for."""

    device = "cpu"

    def __init__(self, name: str = "fake", pooling: str = "mean") -> None:
        self.name = name
        self.fingerprint = f"{name}/{pooling}"
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> FloatArray:
        self.seen += texts
        return np.array([[text.count(letter) for letter in LETTERS] for text in texts], np.float32)

    def as_encoder(self) -> Encoder:
        return cast(Encoder, self)


def a_catalogue(items: Mapping[str, str] = SHOP) -> Catalogue:
    return Catalogue(
        item_ids=tuple(items),
        texts=tuple(items.values()),
        categories=tuple("SHOP > FOOD" for _ in items),
    )


def an_event(**changes: object) -> dict[str, object]:
    return {
        "user_id": "anna",
        "item_id": "milk",
        "action": "purchase",
        "timestamp": "2017-03-01T12:00:00Z",
        "value": 2.0,
    } | changes


def usable(events: Sequence[tuple[str, str, str]], value: float = 1.0) -> pd.DataFrame:
    """Return (user, item, time) triples as ``read_events`` would."""
    rows = [an_event(user_id=u, item_id=i, timestamp=t, value=value) for u, i, t in events]
    table = pd.DataFrame(rows, columns=list(an_event())).astype({"value": float})
    return table.assign(timestamp=pd.to_datetime(table.timestamp, utc=True))


def unit_rows(rng: np.random.Generator, n: int, width: int) -> FloatArray:
    rows = rng.standard_normal((n, width))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def profiles_of(
    vectors: npt.ArrayLike, last_days: Sequence[Mapping[int, float]] = (), n_items: int = 5
) -> InterestProfiles:
    """Return users with these vectors, who last met these items so many days ago."""
    array = np.asarray(vectors, dtype=np.float32)
    users = [user for user, met in enumerate(last_days) for _ in met]
    items = [item for met in last_days for item in met]
    days = [day for met in last_days for day in met.values()]
    met = csr_matrix((days, (users, items)), shape=(len(array), n_items))
    return InterestProfiles(
        user_ids=tuple(f"user-{number}" for number in range(len(array))),
        item_ids=tuple(f"item-{number}" for number in range(n_items)),
        item_vectors=unit_rows(np.random.default_rng(9), n_items, array.shape[1]),
        vectors=array,
        counts=met,
        last_days=met,
        first_days=met,
        habits=met,
    )


def a_map(centroids: npt.ArrayLike, n_items: int = len(SHOP), **changes: Any) -> ClusterMap:
    array = np.asarray(centroids, dtype=np.float32)
    fields: dict[str, Any] = {
        "run": "run-1",
        "catalogue": "catalogue-1",
        "encoder": "encoder-1",
        "centroids": array,
        "noisy_sizes": np.ones(len(array), np.float32),
        "labels": [f"cluster {number}" for number in range(len(array))],
        "item_weights": np.ones((len(array), n_items), np.float32),
        "popularity": np.ones(n_items, np.float32),
    }
    return ClusterMap(**(fields | changes))


def region_map(region: Region, **changes: Any) -> ClusterMap:
    """Return a map of this region's own catalogue and encoder."""
    about = {
        "catalogue": region.catalogue.fingerprint(),
        "encoder": region.encoder.fingerprint,
    }
    return a_map(np.eye(2, len(LETTERS)), **(about | changes))


def a_region(
    folder: Path,
    *,
    people: Sequence[tuple[str, str, str]] = PEOPLE,
    shop: Mapping[str, str] = SHOP,
    policy: Mapping[str, Any] | None = None,
    settings: Mapping[str, object] | None = None,
) -> Region:
    """Lay out a region's files, and open it; ``policy`` changes keys of its tables."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["user_id", "item_id", "timestamp"]
    pd.DataFrame(people, columns=columns).assign(action="purchase").to_csv(
        folder / "events.csv", index=False
    )
    items = {"item_id": list(shop), "text": list(shop.values()), "category": "SHOP"}
    pd.DataFrame(items).to_csv(folder / "catalogue.csv", index=False)
    write_policy(folder, **dict(policy or {}))
    return open_region(write_settings(folder, **dict(settings or {})))


def write_policy(folder: Path, **changes: Any) -> Path:
    """Write ``policy.toml``; a change to a table changes the keys that it has."""
    rules: dict[str, Any] = {
        "region": "north",
        "budget": {"epsilon": 10.0, "lifetime-epsilon": 1000.0},
        "window": {"start": datetime(2017, 1, 1, tzinfo=UTC), "days": 365},
        "answers": {"questions": ["cell-sums", "map-quality"], "noise-kinds": ["seeded"]},
    }
    for key, value in changes.items():
        rules[key] = rules.get(key, {}) | value if isinstance(value, Mapping) else value
    path = folder / "policy.toml"
    path.write_text(tomli_w.dumps(rules), encoding="utf-8")
    return path


def write_settings(folder: Path, **changes: object) -> Path:
    """Write ``agent.toml``; a change to None leaves the key out."""
    content: dict[str, object] = {
        "region": "north",
        "events": "events.csv",
        "catalogue": "catalogue.csv",
        "policy": "policy.toml",
        "ledger": "ledger.sqlite",
        "cluster-map": "cluster-map.npz",
        "rejected-events": "rejected.csv",
        "cache": "cache",
        "as-of": AS_OF,
        "noise": "seeded",
        "simulation": {"noise-seed": 1},
    } | {key.replace("_", "-"): value for key, value in changes.items()}
    path = folder / "agent.toml"
    kept = {key: value for key, value in content.items() if value is not None}
    path.write_text(tomli_w.dumps(kept), encoding="utf-8")
    return path


def cell_sums(width: int = len(LETTERS)) -> CellSums:
    """Ask for the mean and the number of users."""
    return CellSums(
        origin=np.zeros(width, np.float32),
        basis=np.zeros((width, 0), np.float32),
        centres=np.zeros((1, width), np.float32),
        radius=1.0,
        count_weight=0.5,
    )


def push_back(region: Region, **changes: Any) -> MapQuality:
    return MapQuality(cluster_map=region_map(region, **changes), largest_distance=2.0)


def a_request(region: Region, question: Question | None = None, **changes: Any) -> Request:
    """Ask what this region can answer, unless changed."""
    fields: dict[str, Any] = {
        "run": "run-1",
        "round_number": 1,
        "purpose": "mean",
        "trust_model": TrustModel.LOCAL,
        "sigma": 5.0,
        "encoder": region.encoder.fingerprint,
        "catalogue": region.catalogue.fingerprint(),
        "question": question or cell_sums(),
    }
    return Request(**(fields | changes))
