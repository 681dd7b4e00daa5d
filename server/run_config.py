"""What an operator asks of a run: typed, checked, the same in TOML and in Flower's run-config.

``[clustering] k = 8`` in a scenario is ``clustering.k=8`` in ``flwr run --run-config``.
Unknown keys and values out of range are errors that name the key and the value.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from privacy.calibration import LARGEST_EPSILON
from privacy.configuration import describe, kebab, read_toml
from privacy.query import TrustModel
from server.config_error import ConfigError as ConfigError  # those who read one look for it here
from server.store_place import objection_to
from strategies.item_space import Space
from strategies.phases.experiment import Asked
from strategies.taste_plan import LARGEST_UPLOAD_MB, SMALLEST_UPLOAD_MB

Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A section of the configuration: kebab-case keys, nothing unknown."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=kebab,
        hide_input_in_errors=True,  # a traceback must not print what was refused for its password
    )


class RunSection(Section):
    """The run itself."""

    name: str = Field(default="sample", pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Lower case, digits, hyphens."""
    seed: Annotated[int, Field(strict=True, ge=0)] = 1
    """For the server's own choices (k-means++). Noise seeds are the clients' affair."""
    out: str = ""
    """Folder of the results; left empty, ``runs/NAME``."""
    n_clients: Annotated[int, Field(strict=True, ge=1)] = 8
    """Regions to wait for."""
    wait_seconds: Positive = 120.0
    """How long to wait for them; a resumed run then goes on with at least ``least-answers``."""
    resume: bool = True
    """Where the folder of the results holds an unfinished run of this name and configuration, go
    on with it: what regions have answered is not asked again. False begins a new run."""
    round_seconds: Positive = 600.0
    """How long to wait for the answers to one question; what comes later is not used."""
    least_answers: Annotated[int, Field(strict=True, ge=1)] = 1
    """A question with fewer usable answers stops the run, which can be resumed from there."""
    request_hours: Annotated[Positive, Field(le=24 * 366)] = 24.0
    """A signed request expires after so long; a region then refuses it."""
    signing_key: str = ""
    """File of the key that signs the requests (``fedinterest key``); left empty, none does."""
    known_regions: str = ""
    """File of the regions that may answer (``known-regions.json`` in a server's folder), signed
    with ``signing-key`` and read anew before each question; left empty, any region may."""
    store: str = ""
    """Database that the run is recorded in as it goes: a file (SQLite), or a PostgreSQL URL
    without a password; left empty, none. See ``docs/run-store.md``."""
    ask_once_too_often: bool = False
    """After the plan is spent, ask again, to show that the regions refuse."""

    @field_validator("store")
    @classmethod
    def _store_has_no_password(cls, store: str) -> str:
        if objection := objection_to(store):
            raise ValueError(f"run.store: {objection}")
        return store

    @model_validator(mode="after")
    def _record_can_be_checked(self) -> RunSection:
        if self.known_regions and not self.signing_key:
            raise ValueError(
                "run.known-regions is signed with the server's key: set run.signing-key too"
            )
        return self

    @model_validator(mode="after")
    def _enough_are_asked(self) -> RunSection:
        if self.least_answers > self.n_clients:
            raise ValueError(
                f"run.least-answers is {self.least_answers}, more than run.n-clients "
                f"({self.n_clients}): no question would ever have enough answers"
            )
        return self


class ClusteringSection(Section):
    """The clusters."""

    k: Annotated[int, Field(strict=True, ge=2, le=1000)] = 6
    """Number of interest clusters."""
    choose_k: bool = False
    """Let the private summary choose the number of clusters; ``k`` is then the most."""
    least_size: Annotated[int, Field(strict=True, ge=0)] = 0
    """Merge clusters of fewer users into their neighbours; 0 merges none."""
    space: Space = Space.BOTH
    """What clusters are made of where ``recommendation.taste`` is learned: ``text``, ``taste``,
    ``both``, or the ``best`` of these, which is asked for. Elsewhere they are of texts."""


class RecommendationSection(Section):
    """What is learned for recommendations beside what clusters go for."""

    taste: bool = False
    """Learn what goes with what, where users and budget are enough for it to rise above the
    noise; most of the budget is then spent on that."""
    lately: bool = False
    """With taste: learn also what is popular lately, for regions that follow it
    (``recent-lift`` in agent.toml). Popularity is then known with more noise."""
    experiment: str = ""
    """Ask what came of this experiment with lists; left empty, nothing is asked."""
    arms: str = ""
    """Its arms, such as ``"plain, varied"``: the same in each region's ``agent.toml``, in this
    order."""
    feedback_days: Positive = 30.0
    """What was shown earlier is not looked at."""
    dwell_cap: Positive = 120.0
    """Seconds; a longer dwell on an item counts as it."""
    votes: bool = False
    """With taste: ask users how well lists rank what they took up last, and which weights rank
    it best; 3% of the budget is spent on that."""
    largest_upload_mb: Annotated[Positive, Field(ge=SMALLEST_UPLOAD_MB)] = LARGEST_UPLOAD_MB
    """Millions of bytes of one answer about what goes with what; where its products would be
    larger, several rounds of small answers do instead."""

    @model_validator(mode="after")
    def _both_are_beside_taste(self) -> RecommendationSection:
        for name in ("lately", "votes"):
            if getattr(self, name) and not self.taste:
                raise ValueError(
                    f"recommendation.{name} is learned beside taste: set taste = true too"
                )
        return self

    @model_validator(mode="after")
    def _experiment_can_be_asked_about(self) -> RecommendationSection:
        if asked := self.asked:
            try:
                asked.question()
            except ValueError as error:
                raise ValueError(f"recommendation.experiment: {error}") from error
        elif self.arms:
            raise ValueError("recommendation.arms are those of no recommendation.experiment")
        return self

    @property
    def asked(self) -> Asked | None:
        """The experiment that is asked about, if there is one."""
        if not self.experiment:
            return None
        return Asked(
            name=self.experiment,
            arms=[arm.strip() for arm in self.arms.split(",")],
            window_days=self.feedback_days,
            dwell_cap=self.dwell_cap,
        )


class PrivacySection(Section):
    """What the run spends. A request: each region's policy decides."""

    epsilon: Annotated[Positive, Field(le=LARGEST_EPSILON)] = 4.0
    """Budget of the whole run, for one user added or removed."""
    delta: Annotated[float, Field(strict=True, gt=0, le=1e-3)] = 1e-6
    trust_model: TrustModel = TrustModel.LOCAL
    declared_users: Annotated[int, Field(strict=True, ge=1)] = 2469
    """Public estimate of the number of users; never counted from data."""
    declared_silos: str = ""
    """Public estimates per region, such as ``"north=1200, south=90"``: under ``local``, what a
    region contributes is weighed by it. Regions that are not named count with noise."""
    server_noise_seed: Annotated[int, Field(strict=True, ge=-1)] = -1
    """For simulations of trust model ``central``; -1 draws from the operating system."""

    @field_validator("declared_silos")
    @classmethod
    def _check_silos(cls, declared: str) -> str:
        sizes_of(declared)
        return declared

    @property
    def silo_sizes(self) -> dict[str, float]:
        """The regions' declared numbers of users."""
        return sizes_of(self.declared_silos)


def sizes_of(declared: str) -> dict[str, float]:
    """Return the numbers of users in a text such as ``"north=1200, south=90"``.

    Raises
    ------
    ValueError
        If a part is no ``REGION=NUMBER``, or a region is named twice.
    """
    sizes: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in declared.split(","))):
        region, found, size = (word.strip() for word in part.partition("="))
        if not (region and found and size.isdecimal() and int(size) >= 1) or region in sizes:
            raise ValueError(
                f"privacy.declared-silos: {part!r} is not REGION=NUMBER, with each region once and "
                "a whole number of users"
            )
        sizes[region] = float(size)
    return sizes


class PublicSection(Section):
    """Public knowledge."""

    catalogue: str = ""
    """Encoded catalogue (``.npz``), as ``fedinterest encode`` writes it."""


class RunConfig(Section):
    """The whole configuration of a run."""

    run: RunSection = RunSection()
    clustering: ClusteringSection = ClusteringSection()
    recommendation: RecommendationSection = RecommendationSection()
    privacy: PrivacySection = PrivacySection()
    public: PublicSection = PublicSection()

    @property
    def out(self) -> Path:
        """Folder of the results."""
        return Path(self.run.out or Path("runs") / self.run.name).resolve()

    def flat(self) -> dict[str, bool | int | float | str]:
        """Return the configuration as Flower's run-config: dotted kebab-case keys."""
        nested = self.model_dump(by_alias=True, mode="json")
        return {
            f"{section}.{key}": value
            for section, values in nested.items()
            for key, value in values.items()
        }


def read_run_config(path: Path) -> RunConfig:
    """Read a planned run from a file: a scenario, or a run-config as ``flwr run`` takes it.

    Raises
    ------
    ConfigError
        If it cannot be read, a key is unknown or a value is out of range.
    """
    content = read_toml(path, "Run configuration", ConfigError, "Nothing was checked.")
    content.pop("simulation", None)
    if all(isinstance(value, dict) for value in content.values()):
        return parse_config(content, str(path))
    return parse_flat(content)


def parse_config(nested: Mapping[str, Any], source: str) -> RunConfig:
    """Check a configuration of sections.

    Parameters
    ----------
    nested : mapping
        Sections of keys in kebab-case.
    source : str
        Where it came from, for the error.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is out of range.
    """
    try:
        return RunConfig.model_validate(dict(nested))
    except ValidationError as error:
        raise ConfigError(f"{source}: {describe(error)}. Nothing was started.") from error


def parse_flat(flat: Mapping[str, Any]) -> RunConfig:
    """Check Flower's run-config, whose keys are dotted.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is out of range.
    """
    nested: dict[str, dict[str, Any]] = {}
    for dotted, value in flat.items():
        section, _, key = dotted.partition(".")
        nested.setdefault(section, {})[key] = value
    return parse_config(nested, "run-config")


def parse_override(override: str) -> tuple[str, str, Any]:
    """Return section, key and value of a text such as ``clustering.k=8``.

    The value is in TOML's spelling; bare words are texts.

    Raises
    ------
    ConfigError
        If it is not of that form.
    """
    dotted, equals, text = override.partition("=")
    section, dot, key = dotted.strip().partition(".")
    if not (equals and dot and section and key):
        raise ConfigError(f"--set {override!r} is not of the form section.key=value.")
    try:
        return section, key, tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return section, key, text.strip()
