"""What users say about lists: how well they rank, and which weights rank best."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import final

import numpy as np

from privacy.query import FloatArray
from strategies.aggregation import NoisySum
from strategies.clustering import Clustering
from strategies.fusion import CLUSTERS, HALF_LIVES, Fusion
from strategies.phases.phase import Phase
from strategies.private_evaluation import PrivateEvaluation
from strategies.question_kinds.votes import MOST_CHANGE, USERS_WEIGHT, K
from strategies.questions import ListVotes, Question


@final
class Votes(Phase):
    """Everybody's latest items judge the map before it is pushed back.

    What is popular lately is not voted on: it was released from the very items that judge.
    """

    asks = ListVotes
    is_needed = False

    DEVIATIONS = 2.2
    """Another option has to be better than the usual one by so many standard deviations of the
    noise: where all are equal, the best of eight others is so in one run of nine."""

    def ask(self, known: Clustering) -> Question:
        """Send a draft of the map along with the options."""
        return ListVotes(cluster_map=known.cluster_map(), options=options(known.k))

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Keep the figures, and the option that is clearly better than the usual one.

        Where nothing rose above the noise of taste, clients do not rank by these weights:
        nothing was judged.
        """
        if known.taste is None or not len(known.taste.strengths):
            return
        rows = options(known.k)
        users = max(float(answer.sums["users"][0, 0]) / USERS_WEIGHT, 1.0)
        popular, ours = (float(np.clip(hits / users, 0, 1)) for hits in answer.sums["hits"][0])
        noise = answer.sigma / users
        votes = answer.sums["votes"][0]
        best = int(votes.argmax())
        is_better = bool(votes[best] > self.DEVIATIONS * answer.sigma)
        chosen = Fusion.of(rows[1 + best if is_better else 0])
        known.fusion = chosen
        known.evaluation = PrivateEvaluation(
            k=K,
            users=users,
            ours=ours,
            # The number of users that a mean is taken over is noisy, too.
            ours_noise=noise * float(np.hypot(1, ours / USERS_WEIGHT)),
            popularity=popular,
            popularity_noise=noise * float(np.hypot(1, popular / USERS_WEIGHT)),
            difference_noise=noise * float(np.hypot(2**0.5, (ours - popular) / USERS_WEIGHT)),
            chosen=chosen,
            gain=MOST_CHANGE * float(votes[best]) / users if is_better else 0.0,
            gain_noise=MOST_CHANGE * noise if is_better else 0.0,
        )


def options(k: int) -> FloatArray:
    """Return what is voted on, the usual weights first: float32, shape (o, 5).

    Parameters
    ----------
    k : int
        Clusters; with one there is none to follow.
    """
    clusters = CLUSTERS if k > 1 else CLUSTERS[:1]
    # Not each with each: the more options, the shorter is what one user can say of one of them.
    views = [*(Fusion(cluster=cluster) for cluster in clusters), Fusion(text=0.0)]
    found = [
        replace(view, half_life=half_life).row() for view, half_life in product(views, HALF_LIVES)
    ]
    return np.stack(found)
