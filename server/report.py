"""``report.json``: what a run did, found and cost, in one document with a published schema.

Everything in it is public or released, except figures marked
``evaluation: oracle``: simulations add those afterwards from data that no
server ever sees.
"""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from privacy.query import NoiseKind

_NOT_PROTECTED = (
    "A user at several regions: the loss adds up.",
    "Other windows: where profiles remember earlier events, windows compose; the promise is then "
    "what a region's policy allows over its lifetime.",
    "A region whose own disk and signing key are in other hands: its ledger can be forged, and "
    "only heads that were witnessed elsewhere show it.",
    "That a region takes part, what it refuses, and how long it takes to answer.",
    "That a region's own program fails: it says so, without saying why.",
    "Groups: for g users together, mu is g times as large.",
    "What an employee of the region itself can see.",
)


OTHER_CALLS = (
    "Other calls on the same people: this run's ledgers end with it, and the losses of several "
    "runs add up."
)
_NOT_PROTECTED_BY = {
    NoiseKind.DISCRETE: (),
    NoiseKind.FLOAT: (
        "Floating-point noise: its generator is not cryptographic, and it is not hardened against "
        "every attack on its last bits.",
    ),
    NoiseKind.SEEDED: ("Seeded noise, as simulations use it: who knows the seed can take it off.",),
}


def not_protected(noise: NoiseKind) -> list[str]:
    """Return what the promise does not cover, for releases with such noise."""
    return [*_NOT_PROTECTED, *_NOT_PROTECTED_BY[noise]]


class Part(BaseModel):
    """A part of the report."""

    model_config = ConfigDict(extra="forbid")


class RunPart(Part):
    """Which run this was."""

    id: str
    name: str
    version: str
    seed: int
    started: str = Field(description="ISO 8601, UTC")
    seconds: float
    trust_model: Literal["local", "central"]
    n_clients: int
    n_users: int | None = Field(description="declared, never counted from data; null if not")
    n_rounds: int
    simulated: bool


class EncoderPart(Part):
    """What encoded the catalogue."""

    name: str
    dim: int
    device: str
    fingerprint: str


class ClusterPart(Part):
    """One global interest cluster."""

    id: int
    label: str
    terms: list[str] = Field(description="what sets its public items apart, in words")
    items: list[str] = Field(description="public items that belong to it most")
    noisy_size: float
    parent: int | None = Field(default=None, description="id of its group")


class GroupPart(Part):
    """A coarse interest: clusters that lie close to each other."""

    id: int
    label: str
    terms: list[str]
    noisy_size: float


class KCurvePart(Part):
    """How well each number of clusters suits the private summary."""

    k: list[int]
    silhouette: list[float] = Field(description="of the summary's cells; people's is lower")
    inertia: list[float]
    peak: int = Field(
        description="K with the highest silhouette; people's own number where it is sharp"
    )
    elbow: int = Field(description="K where the inertia bends")
    chosen: int | None = Field(
        default=None,
        description="the peak where it is sharp, else the smallest K whose silhouette is about "
        "the highest; only where the summary chose",
    )
    is_sharp: bool = Field(description="whether people fall into a definite number of clusters")
    is_open: bool = Field(
        description="whether the silhouette still climbs at the most clusters that the cells can "
        "tell, below what was asked for; then nothing was chosen"
    )


class ClusteringPart(Part):
    """The clusters and how good they are."""

    k: int
    k_was_chosen: bool = Field(description="by the private summary, not by the operator")
    k_curve: KCurvePart | None = None
    space: Literal["text", "taste", "both"] = Field(
        default="text",
        description="what clusters are made of: items' texts, what goes with what, or both",
    )
    space_quality: dict[str, float] | None = Field(
        default=None,
        description="by how much better than texts each space's rough groups told people's latest "
        "items, as a mean discounted gain; released, noisy; only where the run chose the space",
    )
    space_quality_noise: float | None = Field(
        default=None, description="standard deviation of the noise on each"
    )
    groups: list[GroupPart] = []
    noisy_users: float = Field(description="released count of the users that took part")
    users_noise: float = Field(description="standard deviation of its noise")
    clusters: list[ClusterPart]
    silhouette: float | None = Field(
        default=None, description="released, noisy; absent for a single cluster"
    )
    silhouette_kind: Literal["simplified", "exact"] = "simplified"
    silhouette_noise: float | None = Field(
        default=None, description="standard deviation of its noise"
    )
    inter_cluster_distance: float = Field(
        description="mean distance between centroids, in the unit of centroids.npz"
    )
    intra_cluster_distance: float | None = Field(
        default=None,
        description="root mean squared distance of users from their centroid, in the unit of "
        "centroids.npz; released, noisy",
    )
    intra_noise: float | None = Field(default=None, description="standard deviation of its noise")
    smallest_cluster: float = Field(description="noisy")
    size_noise: float = Field(description="standard deviation of the noise on each noisy size")
    normalized_cost: float | None = Field(
        default=None, description="K-means cost over that of best-of-10 non-private Lloyd; oracle"
    )
    trivial_cost: float | None = Field(
        default=None, description="cost of one exact mean over the same; oracle"
    )
    adjusted_rand_index: float | None = None
    warning: str | None = Field(
        default=None, description="what was done otherwise than asked, and why"
    )
    evaluation: Literal["oracle"] | None = None


class PlannedRelease(Part):
    """One phase's release at each region."""

    phase: str
    sensitivity: float
    sigma: float
    share: float = Field(description="of the run's mu^2")


class RefusalPart(Part):
    """One request that a region did not answer."""

    client: str
    round: int
    reason: str
    sentence: str


class PrivacyPart(Part):
    """What was promised and spent."""

    statement: str
    not_protected: list[str]
    epsilon: float | None = Field(description="null: infinite, nothing is promised")
    delta: float
    unit: str
    adjacency: str
    window: str
    lifetime_epsilon: float | None = Field(
        description="charged to the ledgers' lifetimes; null where they end with the run"
    )
    accountant: str
    epsilon_by_accountant: dict[str, float | None]
    noise: Literal["discrete", "float", "seeded"]
    plan: list[PlannedRelease]
    releases: int
    refusals: list[RefusalPart]


class RankingPart(Part):
    """How good one way of ranking items is."""

    hit_rate: float
    ndcg: float
    mrr: float
    precision: float
    recall: float
    f1: float
    coverage: float
    diversity: float
    novelty: float


class RecommendationPart(RankingPart):
    """Items that are new for the user."""

    k: int
    hit_rate_standard_error: float
    difference_to_popularity: float = Field(description="of the hit rates")
    difference_standard_error: float = Field(description="paired: both lists for the same user")
    n_evaluated: int
    baselines: dict[str, RankingPart]
    evaluation: Literal["oracle"] = "oracle"


class RepeatBaseline(Part):
    """A baseline for items bought before."""

    recall: float


class RepeatPart(Part):
    """Items that the user bought before."""

    k: int
    recall: float
    recall_standard_error: float
    n_evaluated: int
    baselines: dict[str, RepeatBaseline]
    evaluation: Literal["oracle"] = "oracle"


class CostPart(Part):
    """What the run took."""

    bytes_up_per_client_round: float
    bytes_down_per_client_round: float
    seconds_per_round: float
    peak_rss_mb: float | None = Field(
        default=None, description="of the whole simulation; absent where it was not measured"
    )


class ReceiptPart(Part):
    """What one region's own ledger says; simulations read it, a server cannot."""

    region: str
    releases: int
    spent_epsilon: float
    limit_epsilon: float
    lifetime_epsilon: float
    lifetime_limit: float
    refused: int


class Report(Part):
    """The whole document."""

    schema_version: Literal[1] = 1
    run: RunPart
    encoder: EncoderPart
    clustering: ClusteringPart
    privacy: PrivacyPart
    recommendation: RecommendationPart | None = None
    repeat: RepeatPart | None = None
    cost: CostPart
    receipts: list[ReceiptPart] = []

    def to_json(self) -> str:
        """Return the document: what does not apply is left out, what is not promised is null."""
        content = json.loads(self.model_dump_json(exclude_none=True))
        content["run"]["n_users"] = self.run.n_users
        content["privacy"] |= json.loads(self.privacy.model_dump_json())
        return json.dumps(content, indent=2)
