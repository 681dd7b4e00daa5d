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
    resumed: int = Field(
        default=0, description="how often the run was interrupted and went on from its checkpoint"
    )
    late_answers: int = Field(
        default=0,
        description="over all rounds, regions that were asked and not heard of in time; what came "
        "later was not used, and may have been charged there",
    )


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
    recommendation_plan: str | None = Field(
        default=None,
        description="how the plan asks what goes with what, or why not; null where the "
        "configuration does not ask for taste",
    )
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


class WeightsPart(Part):
    """How much each view of an item counts in a ranking."""

    half_life: float = Field(description="of a history, in items; 1e9: all count alike")
    text: float
    popularity: float = Field(description="of how popular an item is, beside taste")
    lift: float = Field(description="of what is popular lately")
    cluster: float


class PrivateEvaluationPart(Part):
    """How well lists rank what users took up last, and which weights they voted for."""

    k: int
    noisy_users: float = Field(description="users with at least two items; released")
    hit_rate: float = Field(
        description="part of a user's latest tenth of items that is among the first k, by the "
        "usual weights; mean over users; released, noisy. The same items went into the released "
        "sums that rank them"
    )
    hit_rate_noise: float = Field(description="standard deviation of its noise")
    popularity: float = Field(description="the same by released popularity")
    popularity_noise: float = Field(description="standard deviation of its noise")
    difference_noise: float = Field(description="of the noise on the difference of both")
    chosen: WeightsPart = Field(description="pushed back: the usual ones, or clearly better ones")
    gain: float = Field(
        description="of its mean discounted gain over the usual weights', of bounded votes; 0 "
        "where the usual weights were kept"
    )
    gain_noise: float
    evaluation: Literal["private"] = "private"


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


class MeanPart(Part):
    """A released mean over users, noisy."""

    value: float
    noise: float = Field(description="standard deviation of its noise")


class ArmPart(Part):
    """What came of the lists of one arm."""

    name: str
    noisy_users: float
    users_noise: float = Field(description="standard deviation of its noise")
    acceptance: MeanPart | None = Field(
        default=None,
        description="share of a user's shown items that were accepted, mean over users; absent, "
        "like the two below, where users are too few to tell",
    )
    skips: MeanPart | None = Field(default=None, description="the same of those skipped")
    dwell_seconds: MeanPart | None = Field(
        default=None, description="per shown item, each up to the cap, mean over users"
    )


class DifferencePart(Part):
    """How much more often an arm's items are accepted than the first arm's."""

    arm: str
    against: str
    acceptance: float = Field(description="difference of the two")
    low: float
    high: float = Field(
        description="together with low: an interval that all differences of the experiment lie "
        "in with 99% confidence; covers the noise and other samples of people"
    )
    stands_out: bool
    sentence: str


class FeedbackPart(Part):
    """What came of an experiment with lists; released, noisy."""

    experiment: str
    window_days: float
    dwell_cap_seconds: float
    arms: list[ArmPart]
    differences: list[DifferencePart] = Field(
        description="of each arm to the first; none for arms with too few users"
    )


class CostPart(Part):
    """What the run took."""

    bytes_up_per_client_round: float
    bytes_down_per_client_round: float
    seconds_per_round: float
    median_seconds_per_round: float | None = Field(
        default=None, description="the first rounds load models, and weigh on the mean"
    )
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


class GoesWithPart(Part):
    """An item, and what goes with it."""

    item: str
    goes_with: list[str] = Field(description="item ids, best first")


class TastePart(Part):
    """What was learned of which items go with which; released, noisy."""

    items: int = Field(description="popular enough to be asked about")
    directions: int = Field(description="that rose above the noise")
    examples: list[GoesWithPart]


class Report(Part):
    """The whole document."""

    schema_version: Literal[1] = 1
    run: RunPart
    encoder: EncoderPart
    clustering: ClusteringPart
    privacy: PrivacyPart
    recommendation: RecommendationPart | None = None
    repeat: RepeatPart | None = None
    taste: TastePart | None = None
    feedback: FeedbackPart | None = None
    private_evaluation: PrivateEvaluationPart | None = None
    cost: CostPart
    receipts: list[ReceiptPart] = []

    def to_json(self) -> str:
        """Return the document: what does not apply is left out, what is not promised is null."""
        content = json.loads(self.model_dump_json(exclude_none=True))
        content["run"]["n_users"] = self.run.n_users
        content["privacy"] |= json.loads(self.privacy.model_dump_json())
        return json.dumps(content, indent=2)
