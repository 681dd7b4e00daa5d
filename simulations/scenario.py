"""A scenario: a run's configuration, and how its regions are simulated, in one TOML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, Field, ValidationError

from client.settings import DEFAULT_ENCODER
from privacy.configuration import describe, read_toml
from privacy.query import NoiseKind
from server.run_config import ConfigError, RunConfig, Section, parse_override
from server.store_place import objection_to

SAMPLE = Path(__file__).parent / "scenarios" / "sample.toml"


class SimulationSection(Section):
    """What real regions would bring along: data, a split, seeds, an encoder."""

    events: str = ""
    """Behaviour events; left empty, the bundled extract of Complete Journey."""
    catalogue: str = ""
    """Public catalogue; left empty, the bundled one."""
    encoder: str = DEFAULT_ENCODER
    """Language model: the embedded one, a local folder, or a name on the hub."""
    cache: str = ""
    """Folder of encoded texts; left empty, ``runs/cache``."""
    half_life_days: Annotated[float, Field(strict=True, gt=0)] = 90.0
    """An event of this age counts half in an interest vector."""
    withheld_from: AwareDatetime
    """Regions know events before this moment; later ones judge the recommendations."""
    concentration: Annotated[float, Field(strict=True, gt=0)] = 0.5
    """Dirichlet parameter of how interests spread over regions; small is uneven."""
    partition_seed: Annotated[int, Field(strict=True, ge=0)] = 1
    """Who lives in which region."""
    window_start: AwareDatetime | None = None
    """The regions' budgets are for a window from here on; left out, the withheld events' year."""
    window_days: Annotated[int, Field(strict=True, ge=1, le=36500)] = 365
    """Length of that window."""
    noise: NoiseKind = NoiseKind.SEEDED
    """``discrete`` and ``float`` are drawn from the operating system, as in a deployment."""
    noise_seed: Annotated[int, Field(strict=True, ge=0)] = 1
    """Makes the regions' noise repeatable, where it is ``seeded``."""


class Scenario(RunConfig):
    """A run and its simulated world."""

    simulation: SimulationSection

    def with_store(self, store: str) -> Scenario:
        """Return the same, recorded in ``store``.

        Raises
        ------
        ConfigError
            If no store can be there.
        """
        if objection := objection_to(store):
            raise ConfigError(f"The run store: {objection}. Nothing was started.")
        return self.model_copy(update={"run": self.run.model_copy(update={"store": store})})

    def run_config(self) -> RunConfig:
        """Return what the server is told: the configuration without the world."""
        return RunConfig(**{name: getattr(self, name) for name in RunConfig.model_fields})


def read_scenario(path: Path, overrides: Sequence[str] = ()) -> Scenario:
    """Read a scenario and apply overrides.

    Parameters
    ----------
    path : Path
    overrides : sequence of str
        ``section.key=value``, the value in TOML's spelling; bare words are strings.

    Raises
    ------
    ConfigError
        If the file cannot be read, a key is unknown or a value out of range.
    """
    content = read_toml(path, "Scenario", ConfigError, "Nothing was started.")
    for override in overrides:
        section, key, value = parse_override(override)
        content.setdefault(section, {})[key] = value
    try:
        return Scenario.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"Scenario {path}: {describe(error)}. Nothing was started.") from error
