"""What a configured run asks, and what that can be worth: from public values only.

configuration  ->  effective mu, phases, and why they ask for taste as they do
"""

from __future__ import annotations

import math

from privacy.accountant import mu_of
from privacy.query import TrustModel
from server.run_config import RunConfig
from strategies.phases.phase import Phase
from strategies.plan import joint_taste, plan
from strategies.question_kinds.items import MOST_TASTE_ITEMS
from strategies.taste_plan import UploadLimit


def effective_mu(config: RunConfig) -> float:
    """Return the run's Gaussian-DP parameter over the noise that its releases add up to."""
    privacy = config.privacy
    noises = config.run.n_clients if privacy.trust_model is TrustModel.LOCAL else 1
    return mu_of(privacy.epsilon, privacy.delta) / math.sqrt(noises)


def planned_phases(config: RunConfig, n_items: int | None = None) -> list[Phase]:
    """Return the phases of a run, in their order.

    Parameters
    ----------
    config : RunConfig
    n_items : int, optional
        Length of the catalogue; where it is not known, that of a large one.
    """
    return plan(
        choosing_k=config.clustering.choose_k,
        taste=config.recommendation.taste,
        lately=config.recommendation.lately,
        space=config.clustering.space,
        votes=config.recommendation.votes,
        signal=_signal(config),
        limit=_limit(config, n_items),
        experiment=config.recommendation.asked,
    )


def recommendation_plan(config: RunConfig, n_items: int | None = None) -> str | None:
    """Return how taste is asked for, and why, in a sentence; None where nobody wants it."""
    if not config.recommendation.taste:
        return None
    return joint_taste(
        _signal(config),
        _limit(config, n_items),
        votes=config.recommendation.votes,
        experiment=config.recommendation.asked is not None,
    ).sentence


def _signal(config: RunConfig) -> float:
    return config.privacy.declared_users * effective_mu(config)


def _limit(config: RunConfig, n_items: int | None) -> UploadLimit:
    return UploadLimit(
        largest_mb=config.recommendation.largest_upload_mb,
        trust_model=config.privacy.trust_model,
        n_items=MOST_TASTE_ITEMS if n_items is None else n_items,
    )
