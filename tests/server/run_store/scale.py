"""Fill a run store as years would, and time every reading query on it.

python -m tests.server.run_store.scale [PLACE]   without one: SQLite, and PostgreSQL if installed

1,000 runs of 13 rounds, maps of 200 clusters for the latest 50, 500 regions, 100,000 releases, and
the agents of these regions and of ten that never answered.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from server.run_store import reading, reading_answers, reading_regions
from server.run_store.counts import overview
from server.run_store.opening import Store, open_store
from server.run_store.putting import put
from server.run_store.reading_budgets import budget_states
from server.run_store.retention import prune
from server.run_store.schema import (
    Cluster,
    Figure,
    Heartbeat,
    Map,
    Refusal,
    Region,
    Report,
    Round,
    Run,
)
from server.run_store.spending import put_releases
from tests.server.run_store.examples import latest_map
from tests.server.run_store.postgres import is_installed, postgres

RUNS, REGIONS, MAPS, CLUSTERS, ROUNDS = 1000, 500, 50, 200, 13
RELEASES_A_RUN = 100
START = datetime(2024, 1, 1, tzinfo=UTC)
NAMES = [f"region-{number:03}" for number in range(REGIONS)]
TIMES = 7


def fill(store: Store) -> list[float]:
    """Fill a store; return the seconds of each run's transaction."""
    seconds = []
    for number in range(RUNS):
        begun = time.perf_counter()
        with store.write() as connection:
            _fill_run(connection, number)
        seconds.append(time.perf_counter() - begun)
    _fill_agents(store)
    return seconds


def _fill_agents(store: Store) -> None:
    told = {"node_id": "7", "state": "online", "since": None, "version": "0.1.0", "flower": "1.41"}
    times = dict.fromkeys(("last_heartbeat", "told", "observed"), datetime.now(UTC))
    names = [*NAMES, *(f"silent-{number}" for number in range(10))]
    with store.write() as connection:
        put(connection, Heartbeat, [{"region": name, **told, **times} for name in names])


def _fill_run(connection: Any, number: int) -> None:
    run, started = f"weekly-{number:04}", START + timedelta(hours=20 * number)
    name = "weekly" if number % 2 else "monthly"
    ended = started + timedelta(minutes=20)
    told = {
        "id": run,
        "name": name,
        "version": "0.1.0",
        "code": "c" * 64,
        "trust_model": "local",
        "epsilon": 4.0,
        "delta": 1e-6,
        "declared_users": 100_000,
        "n_clients": REGIONS,
        "noise": "discrete",
        "simulated": False,
        "started": started,
        "updated": ended,
        "seconds": 1200.0,
        "status": "completed",
        "failure_type": None,
        "failure": None,
        "resumed": 0,
        "config": {f"section.key-{key}": key for key in range(40)},
        "plan": [{"phase": f"phase-{key}", "share": 1 / ROUNDS} for key in range(ROUNDS)],
        "statement": "Adding or removing any one user changes little. " * 6,
    }
    put(connection, Run, [told])
    counts = {"malformed": 0, "late": 0, "bytes_up": 9_000_000, "bytes_down": 9_000_000}
    put(
        connection,
        Round,
        [
            {
                "run_id": run,
                "number": key + 1,
                "purpose": f"phase-{key}",
                "state": "done",
                "share": 1 / ROUNDS,
                "sensitivity": 1.0,
                "sigma": 9.0 + key,
                "step": 2.0**-24,
                "asked": REGIONS,
                "answered": 8,
                "refused": 0,
                **counts,
                "seconds": 60.0,
                "started": started,
            }
            for key in range(ROUNDS)
        ],
    )
    put_releases(
        connection,
        run,
        [
            {
                "run_id": run,
                "round": key % ROUNDS + 1,
                "region": NAMES[(number * RELEASES_A_RUN + key) % REGIONS],
                "purpose": f"phase-{key % ROUNDS}",
                "public_key": "a" * 64,
                "window": f"{started.year}-01-01/{started.year + 1}-01-01",
                "entry": number,
                "sensitivity": 1.0,
                "sigma": 90.0 + key % ROUNDS,
                "step": 2.0**-24,
                "noise": "discrete",
                "received": started + timedelta(minutes=key % ROUNDS),
            }
            for key in range(RELEASES_A_RUN)
        ],
        delta=1e-6,
        now=ended,
    )
    refused = {"reason": "budget-exhausted", "sentence": "Enough.", "received": ended}
    refusals = [
        {"run_id": run, "round": 1, "region": NAMES[(number + key) % REGIONS], "purpose": "p"}
        for key in range(5)
    ]
    put(connection, Refusal, [row | refused for row in refusals])
    seen = {"public_key": "a" * 64, "sequence": number, "first_seen": started}
    last = {"last_seen": ended, "last_run": run, "code": None}
    names = [NAMES[(number * RELEASES_A_RUN + key) % REGIONS] for key in range(RELEASES_A_RUN)]
    rows = [{"name": region, **seen, **last} for region in names]
    put(connection, Region, rows, keep=("first_seen", "code"), unless_before="last_seen")
    figures = [f"clustering.figure-{key}" for key in range(30)]
    noisy = {"value": 0.3, "noise": 0.01, "kind": "released"}
    put(connection, Figure, [{"run_id": run, "name": figure, **noisy} for figure in figures])
    if number >= RUNS - MAPS:
        _fill_map(connection, run, number)


def _fill_map(connection: Any, run: str, number: int) -> None:
    told = {"k": CLUSTERS, "n_groups": 12, "size_noise": 3.0, "warning": None}
    put(connection, Map, [{"run_id": run, "version": number, "groups": [], **told}])
    words = {"terms": ["bread", "rolls", "cakes"], "items": [f"item {key}" for key in range(8)]}
    noisy = {"noisy_size": 500.0, "size_noise": 3.0, "x": 0.1, "y": 0.2}
    put(
        connection,
        Cluster,
        [
            {"run_id": run, "number": key, "label": f"Cluster {key}", "parent": key % 12}
            | words
            | noisy
            for key in range(CLUSTERS)
        ],
    )
    put(connection, Report, [{"run_id": run, "text": "{" + " " * 300_000 + "}"}])


def measure(store: Store) -> dict[str, float]:
    """Return the median milliseconds of each reading query."""
    last, region = f"weekly-{RUNS - 1:04}", NAMES[7]
    queries: dict[str, Callable[[], object]] = {
        "overview": lambda: overview(store),
        "runs, first page": lambda: reading.runs(store),
        "runs, all": lambda: reading.runs(store, limit=RUNS),
        "runs of a name, a later page": lambda: reading.runs(store, name="weekly", offset=400),
        "run": lambda: reading.run(store, last),
        "rounds": lambda: reading.rounds(store, last),
        "releases of a run": lambda: reading_answers.releases(store, run_id=last),
        "releases of a region": lambda: reading_answers.releases(store, region=region),
        "releases, latest": lambda: reading_answers.releases(store),
        "releases, far behind": lambda: reading_answers.releases(store, offset=90_000),
        "refusals, latest": lambda: reading_answers.refusals(store),
        "refusals of a region": lambda: reading_answers.refusals(store, region=region),
        "map of 200 clusters": lambda: reading.cluster_map(store, last),
        "latest map": lambda: latest_map(store),
        "figures": lambda: reading.figures(store, last),
        "figure over 1,000 runs": lambda: reading.figure_history(
            store, "clustering.figure-3", limit=RUNS
        ),
        "report": lambda: reading.report_text(store, last),
        "regions": lambda: reading_regions.regions(store),
        "region": lambda: reading_regions.region(store, region),
        "agents": lambda: reading_regions.heartbeats(store),
        "budgets, the fullest": lambda: budget_states(store),
        "budgets of a region": lambda: budget_states(store, region=region),
        "budgets, each region's latest": lambda: budget_states(store, latest=True, limit=REGIONS),
        "audits": lambda: reading_regions.audits(store),
    }
    found = {}
    for name, query in queries.items():
        times = []
        for _ in range(TIMES):
            begun = time.perf_counter()
            query()
            times.append(time.perf_counter() - begun)
        found[name] = 1000 * statistics.median(times)
    return found


def show(place: str) -> None:
    """Fill the store at ``place``, which must be new, and print what takes how long."""
    store = open_store(place)
    seconds = fill(store)
    counted = overview(store)
    print(f"\n{store.place}: {counted.runs} runs, {counted.releases} releases")
    for part, some in (("first", seconds[:100]), ("last", seconds[-100:])):
        print(f"  writing a run, {part} hundred: median {1000 * statistics.median(some):.0f} ms")
    for name, took in measure(store).items():
        print(f"  {name:<32}{took:8.1f} ms")
    begun = time.perf_counter()
    gone = prune(store, keep_days=365, keep_runs=RUNS - 100)
    print(f"  prune: {gone}, {time.perf_counter() - begun:.1f} s")
    store.close()


def main() -> None:
    """Measure the given place, or both databases."""
    if sys.argv[1:]:
        show(sys.argv[1])
        return
    with tempfile.TemporaryDirectory() as folder:
        show(str(Path(folder) / "store.sqlite"))
        size = (Path(folder) / "store.sqlite").stat().st_size
        print(f"  the file has {size / 1e6:.0f} MB")
    if is_installed():
        with postgres() as server:
            show(server.new_database())


if __name__ == "__main__":
    main()
