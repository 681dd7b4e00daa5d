"""What has been spent, and whether one more release fits in.

releases (the ledger's)  +  budget (the policy's)  ->  loss in the window and over the lifetime
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from privacy.accountant import GaussianEvent, PrivacyLoss, privacy_loss
from privacy.errors import RefusalError
from privacy.policy import Policy
from privacy.records import Account


@dataclass(frozen=True, slots=True)
class Spending:
    """One user's loss so far.

    Attributes
    ----------
    window, lifetime : PrivacyLoss
        In one window, and in all windows together.
    """

    window: PrivacyLoss
    lifetime: PrivacyLoss


def spending(
    policy: Policy, in_window: Sequence[GaussianEvent], ever: Sequence[GaussianEvent]
) -> Spending:
    """Return what releases cost: those charged to one window, and all of them."""
    budget = policy.budget
    unit, adjacency = budget.unit, budget.adjacency
    return Spending(
        privacy_loss(in_window, delta=budget.delta, unit=unit, adjacency=adjacency),
        privacy_loss(ever, delta=budget.lifetime_delta, unit=unit, adjacency=adjacency),
    )


def spent_by(policy: Policy, account: Account) -> Spending:
    """Return what an account has spent: in the window in force, and ever."""
    window = account.window.name if account.window else ""
    return spending(policy, account.events(window), account.events())


def check_budget(
    policy: Policy,
    in_window: Sequence[GaussianEvent],
    ever: Sequence[GaussianEvent],
    event: GaussianEvent,
    window: str,
) -> None:
    """Raise :class:`RefusalError` if one more release would pass a limit.

    Parameters
    ----------
    policy : Policy
    in_window, ever : sequence of GaussianEvent
        What has been charged to the window, and to all windows.
    event : GaussianEvent
        One more.
    window : str
        Its name, for people.
    """
    before = spending(policy, in_window, ever)
    after = spending(policy, [*in_window, event], [*ever, event])
    limits = policy.budget
    _check("budget-exhausted", f"for window {window}", before.window, after.window, limits.epsilon)
    _check(
        "lifetime-exhausted",
        "for the life of the ledger",
        before.lifetime,
        after.lifetime,
        limits.lifetime_epsilon,
    )


def _check(reason: str, what: str, before: PrivacyLoss, after: PrivacyLoss, limit: float) -> None:
    if not (math.isfinite(after.epsilon) and after.epsilon <= limit):
        raise RefusalError(
            reason,
            f"This release would raise epsilon from {before.epsilon:.4f} to {after.epsilon:.4f}, "
            f"over the limit of {limit:g} {what} (delta {after.delta:g}). Nothing was sent.",
        )
