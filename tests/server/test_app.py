"""A run that cannot be what its configuration says does not begin."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privacy.query import NoiseKind
from privacy.signing import SigningKey
from server.app import build_strategy
from server.run_config import ConfigError, RunConfig, parse_flat
from strategies.public_catalogue import PublicCatalogue
from tests.privacy.examples import a_query
from tests.server.test_known_regions import write as write_record

ITEMS = ["bread", "milk", "soap"]


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Return the file of an encoded catalogue of three items."""
    path = tmp_path / "catalogue.npz"
    PublicCatalogue(
        fingerprint="catalogue-1",
        encoder="encoder-1",
        encoder_name="fake",
        device="cpu",
        item_ids=ITEMS,
        texts=ITEMS,
        categories=["FOOD", "FOOD", "HOME"],
        vectors=np.eye(3, 4, dtype=np.float32),
    ).save(path)
    return path


def config_with(catalogue: Path, **changes: Any) -> RunConfig:
    settings = {
        "public.catalogue": str(catalogue),
        "run.out": str(catalogue.parent / "out"),
        "clustering.k": 2,
    }
    return parse_flat(settings | changes)


def test_requests_are_signed_with_the_key_that_the_run_names(catalogue: Path) -> None:
    key = SigningKey.create(catalogue.parent / "server.key")
    named = {"run.signing-key": str(catalogue.parent / "server.key")}
    strategy = build_strategy(config_with(catalogue, **named), "run-1")
    assert strategy.signing_key is not None
    assert strategy.signing_key.public == key.public


def test_without_a_key_nothing_is_signed(catalogue: Path) -> None:
    assert build_strategy(config_with(catalogue), "run-1").signing_key is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read"),
        (b"", "does not hold a private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "does not hold"),
    ],
    ids=["missing", "empty", "broken"],
)
def test_a_signing_key_that_cannot_be_used_is_an_error_before_anything_is_asked(
    catalogue: Path, content: bytes | None, problem: str
) -> None:
    path = catalogue.parent / "server.key"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises(ConfigError, match=r"^run\.signing-key: .*Nothing was asked") as caught:
        build_strategy(config_with(catalogue, **{"run.signing-key": str(path)}), "run-1")
    assert problem in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="files have no such modes here")
def test_a_signing_key_that_others_can_read_is_not_used(catalogue: Path) -> None:
    path = catalogue.parent / "server.key"
    SigningKey.create(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=r"can be read by others.*Nothing was asked"):
        build_strategy(config_with(catalogue, **{"run.signing-key": str(path)}), "run-1")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"public.catalogue": ""}, "public.catalogue is not set"),
        ({"public.catalogue": "/nowhere.npz"}, "public.catalogue: /nowhere.npz"),
        ({"clustering.k": 4}, "clustering.k is 4, but the catalogue has only 3 items"),
    ],
)
def test_a_catalogue_that_does_not_do_is_an_error(
    catalogue: Path, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        build_strategy(config_with(catalogue, **changes), "run-1")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("users", "megabytes", "said"),
    [(2469, 16.8, "one answer"), (10**6, 0.01, "all pairs of 3 items"), (50, 16.8, "not asked")],
)
def test_how_taste_is_asked_for_is_said_before_anything_is_asked(
    catalogue: Path, caplog: pytest.LogCaptureFixture, users: int, megabytes: float, said: str
) -> None:
    wanted = {
        "recommendation.taste": True,
        "recommendation.largest-upload-mb": megabytes,
        "privacy.declared-users": users,
    }
    strategy = build_strategy(config_with(catalogue, **wanted), "run-1")
    assert strategy.recommendation_plan is not None
    assert said in strategy.recommendation_plan
    with caplog.at_level("INFO", "flwr"):
        log = logging.getLogger("flwr")
        log.addHandler(caplog.handler)
        strategy.summary()
        log.removeHandler(caplog.handler)
    assert strategy.recommendation_plan in caplog.text
    assert build_strategy(config_with(catalogue), "run-1").recommendation_plan is None


def test_under_local_the_server_has_no_door(catalogue: Path) -> None:
    assert build_strategy(config_with(catalogue), "run-1").server_door is None
    assert not (catalogue.parent / "out").exists()


@pytest.mark.parametrize(("seed", "noise"), [(-1, NoiseKind.DISCRETE), (3, NoiseKind.SEEDED)])
def test_under_central_the_server_adds_exact_noise_unless_it_is_given_a_seed(
    catalogue: Path, seed: int, noise: NoiseKind
) -> None:
    config = config_with(
        catalogue, **{"privacy.trust-model": "central", "privacy.server-noise-seed": seed}
    )
    door = build_strategy(config, "run-1").server_door
    assert door is not None
    assert door.noise.kind is noise
    assert door.ledger.account().identity.simulated is (noise is NoiseKind.SEEDED)
    budget = door.ledger.policy.budget
    assert (budget.epsilon, budget.lifetime_epsilon) == (4.0, 4.0)
    assert (budget.delta, budget.lifetime_delta) == (1e-6, 1e-6)


def test_under_central_a_charged_ledger_of_another_run_is_an_error(catalogue: Path) -> None:
    config = config_with(catalogue, **{"privacy.trust-model": "central"})
    door = build_strategy(config, "run-1").server_door
    assert door is not None
    door.ledger.reserve(a_query(sigma=10.0), door.noise.kind)
    with pytest.raises(ConfigError, match=r"charged by another run already\. Nothing"):
        build_strategy(config, "run-2")


def test_answers_are_compared_with_the_record_that_the_run_names(catalogue: Path) -> None:
    folder = catalogue.parent
    key = SigningKey.create(folder / "server.key")
    write_record(folder / "known-regions.json", key, 1, north="a" * 64)
    named = {
        "run.signing-key": str(folder / "server.key"),
        "run.known-regions": str(folder / "known-regions.json"),
    }
    strategy = build_strategy(config_with(catalogue, **named), "run-1")
    assert strategy.known_regions is not None
    assert strategy.known_regions() == {"north": "a" * 64}
    (folder / "known-regions.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"^run\.known-regions: .*Nothing was asked"):
        build_strategy(config_with(catalogue, **named), "run-1")


def test_a_record_of_regions_without_the_key_that_signs_it_is_an_error(catalogue: Path) -> None:
    with pytest.raises(ConfigError, match=r"set run\.signing-key too"):
        config_with(catalogue, **{"run.known-regions": "known-regions.json"})


def test_without_a_record_any_region_may_answer(catalogue: Path) -> None:
    assert build_strategy(config_with(catalogue), "run-1").known_regions is None


def test_a_round_ends_for_flower_too(catalogue: Path) -> None:
    strategy = build_strategy(config_with(catalogue, **{"run.round-seconds": 42.0}), "run-1")
    assert strategy.round_seconds == 42.0
