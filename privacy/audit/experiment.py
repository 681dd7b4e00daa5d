"""Examine the door as it is installed on this machine: whether it keeps what it claims.

new doors in a temporary folder  ->  made-up users  ->  answers  ->  a list of checks

Exact checks try cases that have gone wrong in mechanisms elsewhere; statistical ones look at
thousands of draws. All statistical checks of one examination together raise a false alarm
with probability :data:`FALSE_ALARMS` at most: each has an equal part of it (Bonferroni). A
door that passes is not proven private; ``docs/empirical-audit.md`` says what can go unnoticed.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from privacy.audit.answer_checks import check_contents, check_order
from privacy.audit.betrayal import check_canaries, check_mu
from privacy.audit.charge_checks import check_budget, check_ledger
from privacy.audit.check import Check, CheckKind
from privacy.audit.noise_draws import draw_cells, draw_moments
from privacy.audit.noise_tests import (
    entries_are_independent,
    every_entry_has_noise,
    noise_is_used_once,
    size_is_promised,
)
from privacy.audit.sensitivity_checks import check_sensitivity
from privacy.query import NoiseKind

FALSE_ALARMS = 1e-3
"""Probability that an intact door fails any statistical check of one examination."""
STATISTICAL_CHECKS = 7
SHARE = FALSE_ALARMS / STATISTICAL_CHECKS
"""Of each statistical check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is drawn; more of it notices smaller faults.

    Attributes
    ----------
    cells : int
        Of the releases over sums and counts: as many trials with the target, and without.
    moments_width, moments_doors : int
        Dimensions of a block of moments, and how many pairs of doors are asked about it three
        times: ``3 * width * doors`` trials.
    canaries : int
    """

    cells: int = 20_000
    moments_width: int = 64
    moments_doors: int = 10
    canaries: int = 4000


FULL = Effort()
QUICK = Effort(cells=2000, moments_width=48, moments_doors=3, canaries=400)
"""For tests that examine many broken doors."""


def examine(
    noise: NoiseKind = NoiseKind.DISCRETE, *, seed: int = 0, effort: Effort = FULL
) -> list[Check]:
    """Put every check to new doors with this kind of noise.

    Parameters
    ----------
    noise : NoiseKind
        Discrete and floating-point noise is drawn from the operating system, as in a
        deployment; ``seeded`` makes the whole examination repeatable.
    seed : int
        Of made-up users, coins, and seeded noise.
    effort : Effort

    Returns
    -------
    list of Check
        Exact ones first. A door that breaks down or does not answer fails the check.
    """
    return [*examine_exactly(noise, seed=seed), *examine_noise(noise, seed=seed, effort=effort)]


def examine_exactly(noise: NoiseKind, *, seed: int = 0) -> list[Check]:
    """Put the exact checks to new doors."""
    with _new_folder() as folder:
        parts: list[tuple[str, Callable[[], Sequence[Check]]]] = [
            ("sensitivity", lambda: check_sensitivity(folder, seed)),
            ("order", lambda: [check_order(folder, seed)]),
            ("answers-tell-only-their-sums", lambda: [check_contents(folder, noise, seed)]),
            ("ledger", lambda: [check_ledger(folder, noise, seed)]),
            ("budget", lambda: [check_budget(folder, noise, seed)]),
        ]
        return [check for name, part in parts for check in _carried_out(name, part)]


def examine_noise(noise: NoiseKind, *, seed: int = 0, effort: Effort = FULL) -> list[Check]:
    """Put the statistical checks to new doors."""
    with _new_folder() as folder:
        return [
            *_carried_out("noise", lambda: list(_noise_checks(folder, noise, seed, effort))),
            *_carried_out(
                "epsilon-of-canaries",
                lambda: [check_canaries(folder, noise, seed, effort.canaries, SHARE)],
            ),
        ]


def _noise_checks(folder: Path, noise: NoiseKind, seed: int, effort: Effort) -> Iterator[Check]:
    cells = draw_cells(folder, noise, seed, effort.cells)
    moments = draw_moments(folder, noise, seed, effort.moments_width, effort.moments_doors)
    both = (cells, moments)
    yield check_mu("sums and counts", cells, SHARE)
    yield check_mu("moments", moments, SHARE)
    yield _improbable(
        "noise-size",
        "Has every part of every array noise of the promised size and distribution?",
        [size_is_promised(draws.releases) for draws in both],
    )
    yield _improbable(
        "noise-in-every-entry",
        "Is there no entry without noise?",
        [every_entry_has_noise(draws.there, draws.absent) for draws in both],
    )
    yield _improbable(
        "noise-between-entries",
        "Does no entry's noise tell of another entry's?",
        [entries_are_independent(draws.releases) for draws in both],
    )
    yield _improbable(
        "noise-used-once",
        "Do two requests, two blocks of a release, or two doors never share noise?",
        [noise_is_used_once(draws.releases, seed) for draws in both],
    )


def _improbable(name: str, question: str, probabilities: Sequence[float]) -> Check:
    """Return a check that fails if what was found is too odd for noise as promised."""
    found = min(1.0, len(probabilities) * min(probabilities))
    return Check(
        name=name,
        question=question,
        passed=found >= SHARE,
        kind=CheckKind.STATISTICAL,
        measured=found,
        bound=SHARE,
        confidence=1 - SHARE,
        detail=f"Noise as promised is as odd as this with probability {found:.2g} at most; "
        f"less than {SHARE:.2g} would be a fault.",
    )


@contextmanager
def _new_folder() -> Iterator[Path]:
    """Make a folder for doors, and keep their warnings of made-up users out of the log."""
    log = logging.getLogger("fedinterest.privacy")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with tempfile.TemporaryDirectory(prefix="fedinterest-audit-") as name:
            yield Path(name)
    finally:
        log.setLevel(before)


def _carried_out(name: str, part: Callable[[], Sequence[Check]]) -> Sequence[Check]:
    """Return what ``part`` found; where the door breaks down on it, one check that failed."""
    try:
        return part()
    except Exception as error:  # whatever it is, it was to be examined and could not be
        return [
            Check(
                name=name,
                question="Does the door answer what it has to answer?",
                passed=False,
                kind=CheckKind.EXACT,
                measured=0.0,
                bound=1.0,
                confidence=1.0,
                detail=f"{type(error).__name__}: {error}",
            )
        ]
