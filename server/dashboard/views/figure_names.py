"""Where a figure's name belongs: its group, what is measured, and of whom.

``recommendation.baselines.popularity.hit_rate``  ->  recommendation, hit_rate, popularity

``server.run_store.figures`` makes the names. A later version may make others: they are kept apart
and shown by their key.
"""

from __future__ import annotations

from dataclasses import dataclass

CLUSTERING, RECOMMENDATION, REPEAT = "clustering", "recommendation", "repeat"
PRIVATE, FEEDBACK, OTHER = "private_evaluation", "feedback", "other"
MEASURES: dict[str, tuple[str, ...]] = {
    CLUSTERING: (
        "k",
        "noisy_users",
        "smallest_cluster",
        "silhouette",
        "intra_cluster_distance",
        "inter_cluster_distance",
        "space_quality",
        "normalized_cost",
        "trivial_cost",
        "adjusted_rand_index",
    ),
    RECOMMENDATION: (
        "hit_rate",
        "ndcg",
        "mrr",
        "precision",
        "recall",
        "f1",
        "coverage",
        "diversity",
        "novelty",
        "difference_to_popularity",
    ),
    REPEAT: ("recall",),
    PRIVATE: ("noisy_users", "hit_rate", "popularity", "gain"),
    FEEDBACK: ("noisy_users", "acceptance", "skips", "dwell_seconds"),
}
"""Of each group, in the order in which pages show them."""
_OF_WHOM = {
    CLUSTERING: "space_quality.",
    RECOMMENDATION: "baselines.",
    REPEAT: "baselines.",
    FEEDBACK: "arms.",
}
_COUNTS = frozenset({"k", "noisy_users", "smallest_cluster"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a figure belongs.

    Attributes
    ----------
    group : str
        A key of :data:`MEASURES`, or ``other``.
    measure : str
        One of the group's; of ``other``, the whole name.
    who : str
        The baseline, arm or space that it is of; empty: the run itself.
    """

    group: str
    measure: str
    who: str = ""

    @property
    def digits(self) -> int:
        """How many decimals say something."""
        return 0 if self.measure in _COUNTS else 1 if self.measure == "dwell_seconds" else 3


def place_of(name: str) -> Place:
    """Return where a figure belongs."""
    group, _, rest = name.partition(".")
    of_whom = _OF_WHOM.get(group, "")
    who, measure = "", rest
    if of_whom and rest.startswith(of_whom):
        # An arm's own name may have dots in it; a measure's has none.
        who, _, measure = rest.removeprefix(of_whom).rpartition(".")
        if group == CLUSTERING:
            who, measure = rest.removeprefix(of_whom), "space_quality"
    if measure not in MEASURES.get(group, ()):
        return Place(OTHER, name)
    return Place(group, measure, who)
