"""What one run of ``fedinterest cluster`` is to do: checked before anything heavy is loaded.

Neither torch nor Flower is imported here, so that a wrong setting is told at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from privacy.accountant import mu_of
from privacy.calibration import LARGEST_EPSILON
from privacy.query import MOST_NOISE, NoiseKind, TrustModel
from simulations.given_vectors import LARGEST, VectorsError

LEAST_DELTA = 1e-100
"""The accountants lose their numbers below."""
SMALLEST_SHARE = 0.009
"""No phase of a plan spends less of the run's mu^2."""
LEAST_MU = 1 / (MOST_NOISE * math.sqrt(SMALLEST_SHARE))
"""With less, the noise of the smallest share no longer fits into integers."""
SEEDS = 2**32
"""scikit-learn takes seeds below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """What one run of ``fedinterest cluster`` is to do.

    Attributes
    ----------
    k : int
        Number of clusters.
    epsilon, delta : float
        Budget of the whole run, for one user added or removed; an infinite
        epsilon is the run without privacy.
    trust_model : TrustModel
        Who adds the noise.
    noise : NoiseKind
    seed : int
        Of the server's choices, and of ``seeded`` noise.
    norm_bound : float
        Public bound of the vectors' norms; longer ones are shortened to it.
    n_declared : int, optional
        Public estimate of the number of users, for the report.
    choose_k : bool
        Whether the private summary chooses the number of clusters, k at most.
    least_size : int
        Clusters of fewer users are merged into their neighbours; 0 merges none.

    Raises
    ------
    VectorsError
        If one of them is out of range.
    """

    k: int
    epsilon: float
    delta: float = 1e-6
    trust_model: TrustModel = TrustModel.LOCAL
    noise: NoiseKind = NoiseKind.DISCRETE
    seed: int = 0
    norm_bound: float = 1.0
    n_declared: int | None = None
    choose_k: bool = False
    least_size: int = 0

    def __post_init__(self) -> None:
        checks = {
            "K": (self.k >= 2, self.k, "at least 2"),
            "epsilon": (
                0 < self.epsilon <= LARGEST_EPSILON or self.epsilon == math.inf,
                self.epsilon,
                f"positive and at most {LARGEST_EPSILON:g}; inf is without privacy",
            ),
            "delta": (
                LEAST_DELTA <= self.delta <= 1e-3,
                self.delta,
                f"at least {LEAST_DELTA:g} and at most 0.001",
            ),
            "the seed": (0 <= self.seed < SEEDS, self.seed, f"at least 0 and below {SEEDS}"),
            "the least size": (self.least_size >= 0, self.least_size, "at least 0"),
            "the norm bound": (
                1 / LARGEST <= self.norm_bound <= LARGEST,
                self.norm_bound,
                f"positive, at least {1 / LARGEST:g} and at most {LARGEST:g}",
            ),
            "the declared number of users": (
                self.n_declared is None or self.n_declared >= 1,
                self.n_declared,
                "at least 1",
            ),
        }
        for name, (holds, found, wanted) in checks.items():
            if not holds:
                raise VectorsError(f"{name} is {found}; it must be {wanted}. Nothing was started.")
        if math.isfinite(self.epsilon) and mu_of(self.epsilon, self.delta) < LEAST_MU:
            raise VectorsError(
                f"epsilon is {self.epsilon:g}: at delta {self.delta:g} the noise would be so wide "
                "that integers do not hold it. Nothing was started. Take a larger epsilon; inf is "
                "without privacy."
            )
