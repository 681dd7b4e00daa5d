"""What to do where people are too few, or the noise too large, for the clusters asked for.

noisy number of users, budget  ->  go on as asked, start from public centroids, or fewer clusters

Users times mu is what a cluster's signal is made of. Below some of it per
cluster, centroids from noisy sums fit worse than what is known without asking
anybody. The thresholds are measured (``docs/benchmarks.md``).
"""

from __future__ import annotations

from strategies.clustering import Clustering

PUBLIC_SIGNAL = 15.0
"""Users times mu per cluster below which public centroids fit better than private ones."""
LEAST_SIGNAL = 80.0
"""The same where there is no catalogue: no more clusters are tried than have so much each."""


def fall_back(known: Clustering) -> None:
    """Decide, from noisy and public values only, and keep the sentence that says so."""
    signal = known.users * known.effective_mu
    asked = known.k
    if known.has_catalogue and signal < PUBLIC_SIGNAL * asked:
        known.starts_from_public = True
        known.fallback = (
            f"Users times mu is {signal:.0f}, below {PUBLIC_SIGNAL * asked:.0f} for {asked} "
            "clusters: the centroids are the catalogue's, moved to where people are as far as the "
            "noise allows. For people's own clusters take a larger epsilon, more users, fewer "
            "clusters, or central."
        )
    elif not known.has_catalogue and signal < LEAST_SIGNAL * asked:
        known.k = max(1, min(asked, int(signal / LEAST_SIGNAL)))
        done = "at most {} tried" if known.choosing_k else "{} found"
        known.fallback = (
            f"Users times mu is {signal:.0f}, below {LEAST_SIGNAL * asked:.0f} for {asked} "
            f"clusters: {done.format(known.k)} instead. For more take a larger epsilon, more "
            "users, public vectors, or central."
        )
