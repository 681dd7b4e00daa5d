"""A region's own rules: what it answers, and how much privacy it spends.

policy file (TOML, the region's)  +  query (the server's)  ->  passed, or refused

The server's request never overrides the policy. A refusal here depends on the
request and the policy alone. ``default_policy.toml`` has every key, with its
default and a comment.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from privacy.accountant import Adjacency, Unit
from privacy.configuration import describe, kebab, read_toml
from privacy.errors import PolicyError, RefusalError
from privacy.query import LEAST_NOISE, NoiseKind, SumQuery, TrustModel
from privacy.record_values import is_printable
from privacy.records import digest_of_rules
from privacy.signing import PUBLIC_KEY, is_signed
from privacy.window import Renewal, Window, WindowEvents, window_of

DEFAULT_POLICY = Path(__file__).with_name("default_policy.toml")

ROUNDING = 1e-12
"""By so much a quotient of doubles may fall short of the noise multiplier that was meant."""

Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Delta = Annotated[float, Field(strict=True, gt=0, le=1e-3)]
AtLeastOne = Annotated[int, Field(strict=True, ge=1)]
PublicKey = Annotated[str, Field(pattern=PUBLIC_KEY)]


class _Section(BaseModel):
    """A table of the file. Keys are spelt in kebab-case there."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=kebab, populate_by_name=True
    )


class Budget(_Section):
    """What one user may lose, over all runs and servers that ever ask."""

    epsilon: Positive
    """In one window."""
    delta: Delta = 1e-6
    """Fixed for the life of the ledger, as is ``lifetime_delta``."""
    lifetime_epsilon: Positive
    """In all windows together."""
    lifetime_delta: Delta = 1e-6
    adjacency: Adjacency = Adjacency.ADD_OR_REMOVE_ONE
    """What the promise compares; also fixed."""

    @property
    def unit(self) -> Unit:
        """Whose data the promise protects."""
        return Unit.USER

    @model_validator(mode="after")
    def _lifetime_is_longer(self) -> Budget:
        if self.lifetime_epsilon < self.epsilon:
            raise ValueError("lifetime-epsilon must be at least epsilon")
        return self


class Windows(_Section):
    """How often the budget is renewed."""

    start: AwareDatetime
    """Of the first window; they follow each other without gaps."""
    days: Annotated[int, Field(strict=True, ge=1, le=36500)]
    renewal: Renewal = Renewal.AUTOMATIC
    events: WindowEvents = WindowEvents.ALL

    def at(self, moment: datetime) -> Window:
        """Return the window that ``moment`` lies in."""
        return window_of(moment, start=self.start, days=self.days)


class Answers(_Section):
    """What is answered at all."""

    questions: frozenset[str] = Field(min_length=1)
    """Kinds of question."""
    trust_models: frozenset[TrustModel] = frozenset({TrustModel.LOCAL})
    """``central`` only where the region opts in: the server then sees clipped sums."""
    noise_kinds: frozenset[NoiseKind] = frozenset({NoiseKind.DISCRETE})
    """``seeded`` is for simulations: who knows the seed can take the noise off."""
    least_noise_multiplier: Annotated[float, Field(strict=True, ge=LEAST_NOISE, le=1e6)] = 2.0
    """Least noise standard deviation over sensitivity of any one release."""
    largest_clipping_norm: Positive = 2.0
    """Largest L2 norm that one user may contribute to a block."""
    fewest_participants: AtLeastOne = 1
    """Clients that a request must be for, as its server declares."""
    most_releases_per_run: AtLeastOne = 40
    """A run that asks more often is refused from then on."""
    clock_tolerance_seconds: Annotated[float, Field(strict=True, ge=0, le=86400)] = 300.0
    """By so much this region's clock may be ahead of its server's: a request is answered so long
    after it has expired."""


class Trusted(_Section):
    """Who may ask and what may run; an empty list allows any."""

    server_keys: frozenset[PublicKey] = frozenset()
    """Ed25519 keys of the servers that may ask, in hexadecimal."""
    encoders: frozenset[str] = frozenset()
    """Fingerprints of the language models that answers may be made with."""
    code_hashes: frozenset[str] = frozenset()
    """Hashes of this program that its operator has approved."""


class Policy(_Section):
    """What one region allows."""

    region: str = Field(max_length=128, pattern=r"^[^{}\x00-\x1f]+$")
    """Name of the region; the ledger and every release carry it."""
    budget: Budget
    window: Windows
    answers: Answers
    trusted: Trusted = Trusted()

    @field_validator("region")
    @classmethod
    def _can_be_printed(cls, region: str) -> str:
        if not is_printable(region):
            raise ValueError("a region's name is one line of printable text")
        return region

    def check(self, query: SumQuery, *, noise: NoiseKind, code: str) -> None:
        """Raise :class:`RefusalError` if the region does not answer ``query``.

        Parameters
        ----------
        query : SumQuery
            What the server asks.
        noise : NoiseKind
            The noise that this client would add (under ``local``).
        code : str
            Hash of the program that would answer.
        """
        self.check_sender(query)
        self._check_what_runs(query, code)
        self.check_rules(query, noise)

    def check_rules(self, query: SumQuery, noise: NoiseKind) -> None:
        """Raise :class:`RefusalError` if ``query`` is not answered, whoever asks."""
        self._check_what_is_asked(query, noise)
        self._check_how_much(query)

    def check_sender(self, query: SumQuery) -> None:
        """Raise :class:`RefusalError` if nobody asks who may."""
        pinned = self.trusted.server_keys
        if pinned and query.server_key not in pinned:
            raise RefusalError(
                "server-not-trusted",
                f"{self.region} answers servers that it knows; this request is "
                f"{'signed by another' if query.server_key else 'not signed'}.",
            )
        if query.server_key and not is_signed(
            query.signed_message(), query.signature, query.server_key
        ):
            raise RefusalError("signature-wrong", "The request's signature is not its server's.")

    def check_time(self, query: SumQuery, now: datetime) -> None:
        """Raise :class:`RefusalError` if ``query`` has expired, or never would.

        A request of a known server that is good for ever could be sent again for ever, by whoever
        has once listened. Where any server may ask, anybody can sign, and an expiry means nothing.

        Parameters
        ----------
        query : SumQuery
        now : datetime
            By the region's own clock.
        """
        if self.trusted.server_keys and not query.expires:
            raise RefusalError(
                "no-expiry",
                f"{self.region} answers signed requests that say until when they are good; this "
                "one does not.",
            )
        if query.expires and now.timestamp() > query.expires + self.answers.clock_tolerance_seconds:
            until = datetime.fromtimestamp(query.expires, UTC).isoformat()
            raise RefusalError(
                "expired",
                f"The request was good until {until}; by the clock of {self.region} that is over.",
            )

    def _check_what_runs(self, query: SumQuery, code: str) -> None:
        if self.trusted.encoders and query.encoder not in self.trusted.encoders:
            raise RefusalError(
                "encoder-not-allowed",
                f"{self.region} does not answer with the encoder that this request names.",
            )
        if self.trusted.code_hashes and code not in self.trusted.code_hashes:
            raise RefusalError(
                "code-not-allowed",
                f"{self.region} runs a version of this program that its operator has not approved.",
            )

    def _check_what_is_asked(self, query: SumQuery, noise: NoiseKind) -> None:
        rules = self.answers
        if query.trust_model not in rules.trust_models:
            allowed = ", ".join(sorted(rules.trust_models))
            raise RefusalError(
                "trust-model-not-allowed",
                f"{self.region} answers under trust model {allowed}; "
                f"this request is for {query.trust_model}.",
            )
        if query.trust_model is TrustModel.LOCAL and noise not in rules.noise_kinds:
            raise RefusalError(
                "noise-kind-not-allowed",
                f"{self.region} does not make releases with {noise} noise.",
            )
        if query.kind not in rules.questions:
            raise RefusalError(
                "question-not-allowed",
                f"{self.region} does not answer questions of kind {query.kind!r}.",
            )
        if query.participants < rules.fewest_participants:
            raise RefusalError(
                "too-few-participants",
                f"This request is for {query.participants} clients; {self.region} answers "
                f"together with at least {rules.fewest_participants}.",
            )

    def _check_how_much(self, query: SumQuery) -> None:
        rules = self.answers
        largest = max(block.clipping_norm for block in query.blocks)
        if query.noise_multiplier < rules.least_noise_multiplier * (1 - ROUNDING):
            raise RefusalError(
                "too-little-noise",
                f"The noise multiplier would be {query.noise_multiplier:.4g}; "
                f"{self.region} adds at least {rules.least_noise_multiplier:.4g}.",
            )
        if largest > rules.largest_clipping_norm:
            raise RefusalError(
                "clipping-norm-too-large",
                f"The clipping norm would be {largest:.4g}; "
                f"{self.region} allows at most {rules.largest_clipping_norm:.4g}.",
            )

    def rules(self) -> dict[str, Any]:
        """Return all rules in JSON's types, as ledgers keep them."""
        plain = json.dumps(self.model_dump(by_alias=True), default=_plain)
        return dict(json.loads(plain))

    def digest(self) -> str:
        """Return the SHA-256 of all rules, in hexadecimal."""
        return digest_of_rules(self.rules())


def _plain(value: Any) -> Any:
    """Spell a set or a moment in JSON, always in the same way."""
    return value.isoformat() if isinstance(value, datetime) else sorted(value)


def read_policy(path: Path) -> Policy:
    """Read a policy file.

    Raises
    ------
    PolicyError
        If the file is missing, is not TOML, or has an unknown key or a value
        out of range; the message names the key and the value.
    """
    content = read_toml(path, "Policy", PolicyError, "Nothing is answered without one.")
    try:
        return Policy.model_validate(content, by_name=False, by_alias=True)
    except ValidationError as error:
        raise PolicyError(
            f"Policy {path} is not usable: {describe(error)}. Nothing is answered until it is."
        ) from error


def write_default_policy(path: Path, region: str, server_keys: Sequence[str] = ()) -> None:
    """Write the commented default for ``region``, its first window beginning this year.

    Parameters
    ----------
    path : Path
    region : str
    server_keys : sequence of str
        Public keys of the servers that may ask; empty allows any.

    Raises
    ------
    PolicyError
        If there is a file already, or it cannot be written.
    """
    text = DEFAULT_POLICY.read_text(encoding="utf-8")
    text = text.replace('region = "north"', f"region = {json.dumps(region)}", 1)
    text = text.replace("2026-01-01", f"{datetime.now(UTC).year}-01-01", 1)
    text = text.replace("server-keys = []", f"server-keys = {json.dumps(list(server_keys))}", 1)
    try:
        Policy.model_validate(tomllib.loads(text), by_name=False, by_alias=True)
    except ValidationError as error:
        raise PolicyError(f"No policy was written: {describe(error)}.") from error
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise PolicyError(f"{path} exists already. Nothing was written.") from error
    except OSError as error:
        raise PolicyError(f"{path} cannot be written ({error.strerror}).") from error
