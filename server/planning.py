"""What a configured run asks, and what that can be worth: from public values only.

configuration  ->  effective mu, phases
"""

from __future__ import annotations

import math

from privacy.accountant import mu_of
from privacy.query import TrustModel
from server.run_config import RunConfig
from strategies.phases.phase import Phase
from strategies.plan import plan


def effective_mu(config: RunConfig) -> float:
    """Return the run's Gaussian-DP parameter over the noise that its releases add up to."""
    privacy = config.privacy
    noises = config.run.n_clients if privacy.trust_model is TrustModel.LOCAL else 1
    return mu_of(privacy.epsilon, privacy.delta) / math.sqrt(noises)


def planned_phases(config: RunConfig) -> list[Phase]:
    """Return the phases of a run, in their order."""
    return plan(
        choosing_k=config.clustering.choose_k,
        taste=config.recommendation.taste,
        lately=config.recommendation.lately,
        space=config.clustering.space,
        signal=config.privacy.declared_users * effective_mu(config),
    )
