"""What a planned run would cost a region, before anything is asked.

plan (purpose, kind, noise multiplier)  +  policy  +  account  ->  epsilon after each release

The same checks as at the door, on the same figures. Clipping norms are settled
while a run goes on, so those are checked then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from privacy.accountant import GaussianEvent
from privacy.budget import Spending, check_budget, spending
from privacy.errors import RefusalError
from privacy.policy import Policy
from privacy.query import Block, NoiseKind, SumQuery, TrustModel
from privacy.records import Account
from privacy.renewal import present_moment, window_to_charge

NORM = 2.0**-19
"""Stands for clipping norms that are not known yet; a power of two, so that nothing is rounded."""


@dataclass(frozen=True, slots=True)
class PlannedRelease:
    """One release of a plan.

    Attributes
    ----------
    purpose, kind : str
    noise_multiplier : float
    """

    purpose: str
    kind: str
    noise_multiplier: float


@dataclass(frozen=True, slots=True)
class ForecastLine:
    """What the region would do with one release.

    Attributes
    ----------
    planned : PlannedRelease
    spending : Spending
        After it.
    refusal : RefusalError, optional
        Why it would be refused, if it would.
    """

    planned: PlannedRelease
    spending: Spending
    refusal: RefusalError | None = None


def forecast(
    policy: Policy,
    account: Account | None,
    planned: Sequence[PlannedRelease],
    *,
    trust_model: TrustModel,
    noise: NoiseKind,
    participants: int,
    now: datetime,
) -> list[ForecastLine]:
    """Go through a plan as the region's door would, as far as the policy decides.

    Parameters
    ----------
    policy : Policy
    account : Account, optional
        What the ledger says so far; left out, nothing has been spent.
    planned : sequence of PlannedRelease
        In their order. What would be refused costs nothing.
    trust_model, noise, participants
        As the run would ask, and the region would answer.
    now : datetime
        Decides which window would be charged.
    """
    before = account.events() if account else []
    window, shut = _window(policy, account, now)
    in_window = account.events(window) if account else []
    spent: list[GaussianEvent] = []
    lines = []
    for release in planned:
        query = _query(release, trust_model, participants)
        event = GaussianEvent(query.sensitivity, query.sigma, query.step)
        refusal = None
        try:
            policy.check_rules(query, noise)
            if shut:
                raise shut
            if len(spent) >= policy.answers.most_releases_per_run:
                raise RefusalError("too-many-releases", "The run would have too many releases.")
            check_budget(policy, [*in_window, *spent], [*before, *spent], event, window)
            spent.append(event)
        except RefusalError as error:
            refusal = error
        after = spending(policy, [*in_window, *spent], [*before, *spent])
        lines.append(ForecastLine(release, after, refusal))
    return lines


def _window(
    policy: Policy, account: Account | None, now: datetime
) -> tuple[str, RefusalError | None]:
    """Return the name of the window that would pay, or why none would."""
    current = account.window if account else None
    try:
        moment = present_moment(policy, account, now) if account else now
        return window_to_charge(policy, current, moment).name, None
    except RefusalError as error:
        return policy.window.at(now).name, error


def _query(release: PlannedRelease, trust_model: TrustModel, participants: int) -> SumQuery:
    block = Block(name="any", cells=1, width=1, clipping_norm=NORM)
    return SumQuery(
        purpose=release.purpose,
        kind=release.kind,
        blocks=(block,),
        sigma=release.noise_multiplier * NORM,
        trust_model=trust_model,
        run="forecast",
        round_number=1,
        nonce="",
        participants=participants,
    )
