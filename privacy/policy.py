"""A region's own rules: what it answers, and how much privacy it spends.

policy file (TOML, the region's)  +  query (the server's)  ->  passed, or refused

The server's request never overrides the policy. A refusal here depends on the
request and the policy alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from privacy.configuration import describe, kebab, read_toml
from privacy.errors import PolicyError, RefusalError
from privacy.query import NoiseKind, SumQuery, TrustModel

Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


class Policy(BaseModel):
    """What one region allows. Keys are spelt in kebab-case in the file."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=kebab, populate_by_name=True
    )

    region: str = Field(min_length=1)
    """Name of the region; the ledger and every release carry it."""
    window: str = Field(min_length=1)
    """The time window that the budget is for, for example ``2017``."""
    epsilon: Positive
    """Budget of one user in the window, over all runs and servers."""
    delta: Annotated[float, Field(strict=True, gt=0, le=1e-3)] = 1e-6
    """Fixed for the life of the ledger."""
    trust_models: frozenset[TrustModel] = frozenset({TrustModel.LOCAL})
    """``central`` only where the region opts in: the server then sees clipped sums."""
    noise_kinds: frozenset[NoiseKind] = frozenset({NoiseKind.FLOAT})
    """``seeded`` is for simulations: who knows the seed can take the noise off."""
    question_kinds: frozenset[str] = Field(min_length=1)
    """The kinds of question that are answered at all."""
    least_noise_multiplier: Positive = 1.0
    """Least noise standard deviation over sensitivity of any one release."""
    largest_clipping_norm: Positive = 2.0
    """Largest L2 norm that one user may contribute to a block."""
    most_releases_per_run: Annotated[int, Field(strict=True, ge=1)] = 40
    """A run that asks more often is refused from then on."""

    def check(self, query: SumQuery, noise: NoiseKind) -> None:
        """Raise :class:`RefusalError` if the region does not answer ``query``.

        Parameters
        ----------
        query : SumQuery
            What the server asks.
        noise : NoiseKind
            The noise that this client would add (under ``local``).
        """
        largest = max(block.clipping_norm for block in query.blocks)
        if query.trust_model not in self.trust_models:
            allowed = ", ".join(sorted(self.trust_models))
            raise RefusalError(
                "trust-model-not-allowed",
                f"{self.region} answers under trust model {allowed}; "
                f"this request is for {query.trust_model}.",
            )
        if query.trust_model is TrustModel.LOCAL and noise not in self.noise_kinds:
            raise RefusalError(
                "noise-kind-not-allowed",
                f"{self.region} does not make releases with {noise} noise.",
            )
        if query.kind not in self.question_kinds:
            raise RefusalError(
                "question-not-allowed",
                f"{self.region} does not answer questions of kind {query.kind!r}.",
            )
        if query.noise_multiplier < self.least_noise_multiplier:
            raise RefusalError(
                "too-little-noise",
                f"The noise multiplier would be {query.noise_multiplier:.4g}; "
                f"{self.region} adds at least {self.least_noise_multiplier:.4g}.",
            )
        if largest > self.largest_clipping_norm:
            raise RefusalError(
                "clipping-norm-too-large",
                f"The clipping norm would be {largest:.4g}; "
                f"{self.region} allows at most {self.largest_clipping_norm:.4g}.",
            )


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
