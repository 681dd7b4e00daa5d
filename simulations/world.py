"""Prepare simulated regions on disk, each as a real one would stand there.

scenario  ->  DIR/public/catalogue.npz             public: the encoded catalogue
              DIR/regions/region-1/agent.toml      the region's own settings
                                   policy.toml     its rules
                                   events.parquet  its people's behaviour
              DIR/ledgers/                         new and empty
              DIR/server.key                       signs the server's requests
              DIR/run-config.toml                  what the server is told
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import tomli_w

from client.catalogue_encoding import encode_public
from client.embedding_cache import EmbeddingCache
from client.encoder import Encoder
from client.events import read_events
from client.interest_profile import InterestProfiles, build_profiles
from privacy.calibration import noise_multipliers
from privacy.code_identity import code_hash
from privacy.query import NoiseKind
from privacy.signing import SigningKey
from server.planning import planned_phases
from server.results import prepare_output
from server.run_config import RunConfig
from server.store_place import absolute
from simulations.datasets import cache_path, catalogue_path, events_path
from simulations.partitions import partition_by_interest
from simulations.scenario import Scenario
from strategies.public_catalogue import PublicCatalogue
from strategies.questions import QUESTION_TYPES

MARKER = "run-config.toml"
WITNESS = "witness.jsonl"
OURS = (
    "public",
    "regions",
    "ledgers",
    "server-ledger.sqlite",
    "server-ledger.sqlite-wal",
    "server-ledger.sqlite-shm",
    "server-ledger.key",
    "server.key",
    "rejected-events.csv",
    "run.checkpoint",
    "report.json",
    "report.html",
    "centroids.npz",
    "cluster-map.npz",
)
LEAST_NOISE_MULTIPLIER = 0.5


class SimulationError(Exception):
    """A simulation that cannot be prepared or run."""


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """A prepared simulation, and what only its maker can see.

    Attributes
    ----------
    folder : Path
    config : RunConfig
        What the server is told.
    catalogue : PublicCatalogue
    profiles : InterestProfiles
        Everybody's, as all regions together would build them.
    events : DataFrame
        Everybody's, the withheld ones included.
    region_of : Series
        Region name by user id.
    """

    folder: Path
    scenario: Scenario
    config: RunConfig
    catalogue: PublicCatalogue
    profiles: InterestProfiles
    events: pd.DataFrame
    region_of: pd.Series

    def settings_paths(self) -> list[Path]:
        """Return the regions' settings files, in the order of their numbers."""
        return [
            self.folder / "regions" / f"region-{number}" / "agent.toml"
            for number in range(1, self.config.run.n_clients + 1)
        ]


def prepare(scenario: Scenario, folder: Path) -> World:
    """Lay out the simulated regions of a scenario in ``folder``.

    Raises
    ------
    SimulationError
        If the folder holds something that no simulation has made.
    """
    folder = folder.resolve()
    _check_plan(scenario)
    encoder = Encoder(scenario.simulation.encoder)
    EmbeddingCache(cache_path(scenario.simulation))
    _clear(folder)
    config = _tell_server(scenario, folder)
    (folder / MARKER).write_text(tomli_w.dumps(config.flat()), encoding="utf-8")
    catalogue = encode_public(
        catalogue_path(scenario.simulation),
        encoder,
        cache_path(scenario.simulation),
    )
    catalogue.save(folder / "public" / "catalogue.npz")
    server = SigningKey.create(folder / "server.key")
    events = read_events(
        events_path(scenario.simulation),
        frozenset(catalogue.item_ids),
        folder / "rejected-events.csv",
    )
    profiles = build_profiles(
        events,
        tuple(catalogue.item_ids),
        catalogue.vectors,
        as_of=scenario.simulation.withheld_from,
        half_life_days=scenario.simulation.half_life_days,
    )
    _check_people(scenario, profiles, folder)
    region_of = _settle(scenario, profiles, events)
    for name, people in region_of.groupby(region_of):
        known = events[events.user_id.isin(people.index)]
        known = known[known.timestamp < scenario.simulation.withheld_from]
        _found_region(folder / "regions" / str(name), _settings(scenario, str(name)), known)
        rules = _policy(scenario, str(name), server.public, catalogue.encoder)
        (folder / "regions" / str(name) / "policy.toml").write_text(tomli_w.dumps(rules))
    return World(
        folder=folder,
        scenario=scenario,
        config=config,
        catalogue=catalogue,
        profiles=profiles,
        events=events,
        region_of=region_of,
    )


def _check_plan(scenario: Scenario) -> None:
    """Refuse a plan that the regions' policy would refuse halfway."""
    shares = {phase.name: phase.share for phase in planned_phases(scenario)}
    privacy = scenario.privacy
    least = min(noise_multipliers(privacy.epsilon, privacy.delta, shares).values())
    if least < LEAST_NOISE_MULTIPLIER:
        raise SimulationError(
            f"With epsilon {privacy.epsilon:g} a release would have the noise multiplier "
            f"{least:.2f}; regions add at least {LEAST_NOISE_MULTIPLIER:g}. Nothing was started. "
            "Lower privacy.epsilon."
        )


def _check_people(scenario: Scenario, profiles: InterestProfiles, folder: Path) -> None:
    """Refuse to run without people, or with fewer people than regions."""
    people, regions = len(profiles.user_ids), scenario.run.n_clients
    if people < regions:
        raise SimulationError(
            f"{people} people have usable events before "
            f"{scenario.simulation.withheld_from.isoformat()}, for {regions} regions. Nothing was "
            "asked of them. Set simulation.withheld-from and run.n-clients to suit the events; "
            f"rows that could not be used are in {folder / 'rejected-events.csv'}."
        )


def _clear(folder: Path) -> None:
    """Remove an earlier simulation; never anything that no simulation has made."""
    prepare_output(folder)
    found = [name for name in OURS if (folder / name).exists()]
    if found and not (folder / MARKER).exists():
        raise SimulationError(
            f"{folder} holds {found[0]}, which no simulation has made. Nothing was removed. "
            "Choose another folder."
        )
    for name in found:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _tell_server(scenario: Scenario, folder: Path) -> RunConfig:
    key = folder / "server.key"
    # Absolute, since the server's process may run elsewhere.
    places = {"out": str(folder), "store": absolute(scenario.run.store, Path.cwd())}
    run = scenario.run.model_copy(update={**places, "signing_key": str(key)})
    public = scenario.public.model_copy(
        update={"catalogue": str(folder / "public" / "catalogue.npz")}
    )
    return scenario.run_config().model_copy(update={"run": run, "public": public})


def _settle(scenario: Scenario, profiles: InterestProfiles, events: pd.DataFrame) -> pd.Series:
    """Give everybody a region; who has no event yet lives in the first."""
    numbers = partition_by_interest(
        profiles.vectors,
        scenario.run.n_clients,
        concentration=scenario.simulation.concentration,
        seed=scenario.simulation.partition_seed,
    )
    known = pd.Series(numbers, index=list(profiles.user_ids))
    everybody = known.reindex(sorted(events.user_id.unique()), fill_value=0)
    return everybody.map(lambda number: f"region-{number + 1}")


def _found_region(region: Path, settings: dict[str, Any], events: pd.DataFrame) -> None:
    """Lay out one region: its settings and its people's events."""
    region.mkdir(parents=True)
    events.to_parquet(region / "events.parquet", index=False)
    (region / "agent.toml").write_text(tomli_w.dumps(settings), encoding="utf-8")


def _settings(scenario: Scenario, name: str) -> dict[str, Any]:
    """Return one region's ``agent.toml``."""
    simulation = scenario.simulation
    seeded = simulation.noise is NoiseKind.SEEDED
    return _experiment(scenario) | {
        "region": name,
        "events": "events.parquet",
        "catalogue": str(catalogue_path(simulation).resolve()),
        "policy": "policy.toml",
        "ledger": f"../../ledgers/{name}.sqlite",
        "signing-key": "signing.key",
        "witness": WITNESS,
        "cluster-map": "cluster-map.npz",
        "rejected-events": "rejected-events.csv",
        "cache": str(cache_path(simulation)),
        "encoder": simulation.encoder,
        "noise": simulation.noise.value,
        "half-life-days": simulation.half_life_days,
        "as-of": simulation.withheld_from.isoformat(),
        "simulation": {"noise-seed": simulation.noise_seed} if seeded else {},
    }


def _experiment(scenario: Scenario) -> dict[str, Any]:
    """Return what makes a region run the scenario's experiment: what its arms do is left open."""
    asked = scenario.recommendation.asked
    if asked is None:
        return {}
    arms = [{"name": arm} for arm in asked.arms]
    return {"feedback": "feedback.sqlite", "experiment": {"name": asked.name, "arms": arms}}


def _policy(scenario: Scenario, name: str, server: str, encoder: str) -> dict[str, Any]:
    """Return one region's ``policy.toml``: it allows what the scenario asks, and no more."""
    simulation, privacy = scenario.simulation, scenario.privacy
    start = simulation.window_start or simulation.withheld_from.replace(
        month=1, day=1, hour=0, minute=0, second=0, microsecond=0
    )
    return {
        "region": name,
        "budget": {
            "epsilon": privacy.epsilon,
            "delta": privacy.delta,
            "lifetime-epsilon": privacy.epsilon,
            "lifetime-delta": privacy.delta,
        },
        "window": {"start": start, "days": simulation.window_days},
        "answers": {
            "questions": sorted(QUESTION_TYPES),
            "trust-models": [privacy.trust_model.value],
            "noise-kinds": [simulation.noise.value],
            "least-noise-multiplier": LEAST_NOISE_MULTIPLIER,
            "fewest-participants": max(1, scenario.run.n_clients // 2),
        },
        "trusted": {
            "server-keys": [server],
            "encoders": [encoder],
            "code-hashes": [code_hash()],
        },
    }
