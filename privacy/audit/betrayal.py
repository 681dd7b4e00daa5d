"""What answers betray of a user, at least, against what the ledger claims.

a target in thousands of trials  ->  mu is at least this
canaries, each put in by a fair coin, in one data set  ->  epsilon is at least this
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from privacy.accountant import Adjacency, compose, epsilon_of, mu_of
from privacy.audit.check import Check, CheckKind
from privacy.audit.distinguishing import distinguish
from privacy.audit.noise_draws import Draws
from privacy.audit.one_run import Coins, correct_guesses, expected_epsilon, least_epsilon
from privacy.audit.trial import DELTA, fresh_door, release_of, request, source
from privacy.query import Block, Contributions, NoiseKind

CLAIM = mu_of(2.0, DELTA)
"""Of the canaries' door: so small that a handful of answers with too little noise passes it."""
RELEASES = 3
"""That the canaries take part in, so that the claim is one of composition."""
CELLS = 8
GUESSED = 0.2
"""Of the canaries; near :func:`~privacy.audit.one_run.best_guesses` for mu from 1 to 3."""
CUSTOMARY = 0.05
"""Error of the bounds that are told beside the strict ones."""

Doubles = NDArray[np.float64]


def check_mu(what: str, draws: Draws, error: float) -> Check:
    """Hold the mu that a threshold test proves against the ledger's."""
    there, absent = draws.evidence_there, draws.evidence_absent
    found = distinguish(there, absent, threshold=0.5, error=error)
    told = distinguish(there, absent, threshold=0.5, error=CUSTOMARY)
    return Check(
        name=f"mu-of-{what.replace(' ', '-')}",
        question=f"Do releases of {what} betray no more of a user than the mu that the ledger "
        "claims?",
        passed=found.mu <= draws.mu,
        kind=CheckKind.STATISTICAL,
        measured=found.mu,
        bound=draws.mu,
        confidence=1 - error,
        detail=f"mu is at least {found.mu:.3f} of the {draws.mu:.3f} claimed "
        f"({found.mu / draws.mu:.0%}; at 95% confidence {told.mu:.3f}), by {found.present} trials "
        f"with the target and {found.absent} without; whatever the mechanism is, epsilon at delta "
        f"{DELTA:g} is at least {found.epsilon(DELTA):.2f} of {epsilon_of(draws.mu, DELTA):.2f}.",
    )


def check_canaries(folder: Path, kind: NoiseKind, seed: int, canaries: int, error: float) -> Check:
    """Hold the epsilon that guesses on canaries prove against the ledger's."""
    included = np.random.default_rng(seed).random(canaries) < 0.5
    scores, mu = _score(folder, kind, seed, included)
    guesses = round(GUESSED * canaries)
    correct = correct_guesses(scores, included, guesses)

    def bound(of_error: float) -> float:
        return least_epsilon(
            canaries=canaries, guesses=guesses, correct=correct, delta=DELTA, error=of_error
        )

    claimed, found = epsilon_of(mu, DELTA), bound(error)
    usual = expected_epsilon(
        mu, canaries=canaries, guesses=guesses, delta=DELTA, error=CUSTOMARY, repeats=50
    )
    return Check(
        name="epsilon-of-canaries",
        question=f"Do {RELEASES} releases betray no more of many canaries in one data set than "
        "the epsilon that the ledger claims for them together?",
        passed=found <= claimed,
        kind=CheckKind.STATISTICAL,
        measured=found,
        bound=claimed,
        confidence=1 - error,
        detail=f"{correct} of {guesses} guesses on {canaries} canaries are right: epsilon at delta "
        f"{DELTA:g} is at least {found:.2f} of the {claimed:.2f} claimed (at 95% confidence "
        f"{bound(CUSTOMARY):.2f}, where a claim that is used to the full shows {usual:.2f}).",
    )


def _score(folder: Path, kind: NoiseKind, seed: int, included: Coins) -> tuple[Doubles, float]:
    """Return the evidence for each canary, and the mu that the ledger claims for all releases.

    Canaries share cells, and each has an axis of its cell to itself.
    """
    width = math.ceil(included.size / CELLS)
    blocks = (
        Block(name="sums", cells=CELLS, width=width, clipping_norm=1.0),
        Block(name="counts", cells=CELLS, width=1, clipping_norm=0.1),
    )
    axes, cells = np.divmod(np.arange(included.size), CELLS)
    rows = np.zeros((included.size, width), np.float32)
    rows[np.arange(included.size), axes] = 9.0
    users = {
        "sums": Contributions(cells[included], rows[included]),
        "counts": Contributions(cells[included], np.ones((int(included.sum()), 1), np.float32)),
    }
    door = fresh_door(folder, source(kind, seed))
    scores = np.zeros(included.size)
    for number in range(1, RELEASES + 1):
        query = request(*blocks, noise_multiplier=math.sqrt(RELEASES) / CLAIM, round_number=number)
        scores += release_of(door, query, users).sums["sums"][cells, axes]
    events = [entry.event for entry in door.ledger.entries()]
    return scores, compose(events, Adjacency.ADD_OR_REMOVE_ONE)
