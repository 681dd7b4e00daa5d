"""An experiment at home: two or more ways of making lists, and who gets which.

experiment, user, the client's own secret  ->  HMAC-SHA256  ->  arm

The same user always gets the same arm. Nobody without the secret can tell which, no server
chooses, and the arms of two experiments have nothing to do with each other.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from client.errors import ExperimentError
from privacy.configuration import kebab
from privacy.query import IntArray
from strategies.fusion import Fusion
from strategies.question_kinds.feedback import MOST_ARMS, NAME

SECRET_BYTES = 32

Name = Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]


class Arm(BaseModel):
    """One way of making lists; what is left out is as without an experiment."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=kebab)

    name: Name
    variety: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.0
    """0: by score alone; 1: by difference from what is on the list already, alone."""
    half_life: Annotated[float, Field(strict=True, gt=0)] | None = None
    """After so many newer items one counts half in a history."""
    text: Annotated[float, Field(strict=True, ge=0, le=10)] | None = None
    """Weight of closeness in text beside taste."""
    popularity: Annotated[float, Field(strict=True, ge=0, le=10)] | None = None
    """Weight of how popular an item is beside taste."""
    recent_lift: Annotated[float, Field(strict=True, ge=0, le=2)] | None = None
    """How far taste follows what is popular lately."""
    cluster: Annotated[float, Field(strict=True, ge=0, le=10)] | None = None
    """How far taste follows what the user's cluster goes for."""
    popularity_only: bool = False
    """Everybody gets what is popular."""

    def fusion(self, usual: Fusion) -> Fusion:
        """Return the usual weights with this arm's own."""
        own = {
            "half_life": self.half_life,
            "text": self.text,
            "popularity": self.popularity,
            "lift": self.recent_lift,
            "cluster": self.cluster,
        }
        return replace(usual, **{name: value for name, value in own.items() if value is not None})


class Experiment(BaseModel):
    """The experiment that is on, from ``[experiment]`` in ``agent.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=kebab)

    name: Name
    arms: tuple[Arm, ...] = Field(min_length=2, max_length=MOST_ARMS)

    @field_validator("arms")
    @classmethod
    def _have_names_of_their_own(cls, arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
        if len({arm.name for arm in arms}) < len(arms):
            raise ValueError("experiment.arms: two arms have the same name")
        return arms

    @property
    def arm_names(self) -> list[str]:
        """The arms' names, in their order."""
        return [arm.name for arm in self.arms]


class Assignment:
    """Who gets which arm.

    Parameters
    ----------
    experiment : Experiment
    secret : bytes
        The client's own; the same one for all of its experiments.
    """

    def __init__(self, experiment: Experiment, secret: bytes) -> None:
        self.experiment = experiment
        self._secret = secret

    def number_of(self, user_id: str) -> int:
        """Return the number of a user's arm, from 0; depends on nothing but the user's name."""
        message = f"{self.experiment.name}\n{user_id}".encode()
        digest = hmac.new(self._secret, message, sha256).digest()
        # 64 bits over at most 16 arms: no arm is likelier than another by more than 2^-60.
        return int.from_bytes(digest[:8], "big") % len(self.experiment.arms)

    def arm_of(self, user_id: str) -> Arm:
        """Return a user's arm."""
        return self.experiment.arms[self.number_of(user_id)]

    def numbers_of(self, user_ids: tuple[str, ...]) -> IntArray:
        """Return the numbers of many users' arms: int64, shape (n_users,)."""
        return np.array([self.number_of(user) for user in user_ids], dtype=np.int64)


def own_secret(path: Path) -> bytes:
    """Return the client's secret; make it when it is first needed.

    Raises
    ------
    ExperimentError
        If it cannot be read or made, is none, or others than its owner can read it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make_secret(path)
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ExperimentError(
                f"{path} can be read by others, who could tell who gets which arm. Nobody was "
                f"given one. Make it private (chmod 600 {path})."
            )
        found = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise ExperimentError(
            f"The secret {path} cannot be used ({error.strerror}). Nobody was given an arm."
        ) from error
    except ValueError:
        found = b""
    if len(found) != SECRET_BYTES:
        raise ExperimentError(
            f"{path} does not hold {SECRET_BYTES} bytes in hexadecimal. Nobody was given an arm. "
            "Restore it from a copy: with a new one users would change arms."
        )
    return found


def _make_secret(path: Path) -> None:
    """Write a secret beside its place and link it there: whole, and never over another one."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_bytes(SECRET_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(unfinished, path)
        except FileExistsError:
            return  # another process was quicker: its secret is the client's
    finally:
        unfinished.unlink(missing_ok=True)
