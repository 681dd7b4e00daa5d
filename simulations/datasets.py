"""The data that come along, and whole histories for judging a run from outside."""

from __future__ import annotations

from pathlib import Path

from simulations.scenario import SimulationSection

BUNDLED = Path(__file__).parent / "complete_journey"


def events_path(simulation: SimulationSection) -> Path:
    """Return the scenario's events, or the bundled ones."""
    return Path(simulation.events) if simulation.events else BUNDLED / "events.parquet"


def catalogue_path(simulation: SimulationSection) -> Path:
    """Return the scenario's catalogue, or the bundled one."""
    return Path(simulation.catalogue) if simulation.catalogue else BUNDLED / "catalogue.parquet"


def cache_path(simulation: SimulationSection) -> Path:
    """Return the folder of encoded texts."""
    return Path(simulation.cache or Path("runs") / "cache").resolve()
