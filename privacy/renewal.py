"""Which time window pays for a release now, or why none does.

clock, policy, account  ->  the present moment  ->  window, or refused
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from privacy.errors import RefusalError
from privacy.policy import Policy
from privacy.records import Account
from privacy.window import Renewal, Window

CLOCK_TOLERANCE = timedelta(minutes=1)
"""A clock may be set back by so much, as time services do."""


def present_moment(policy: Policy, account: Account, clock: datetime) -> datetime:
    """Return the moment that ``clock`` shows, never before the account's last charge.

    Raises
    ------
    RefusalError
        If the clock has jumped back.
    """
    now, last = clock.astimezone(UTC), datetime.fromisoformat(account.time)
    if now < last - CLOCK_TOLERANCE:
        raise RefusalError(
            "clock-went-back",
            f"The clock of {policy.region} is behind its own records. Nothing was sent.",
        )
    return max(now, last)


def window_to_charge(policy: Policy, current: Window | None, now: datetime) -> Window:
    """Return the window that pays: the one in force, or the one that begins now.

    Parameters
    ----------
    policy : Policy
    current : Window, optional
        The latest window that was opened.
    now : datetime

    Raises
    ------
    RefusalError
        If the first window has not begun, or the operator has not renewed the budget.
    """
    rules = policy.window
    if now < rules.start:
        raise RefusalError(
            "window-not-begun", f"The first window of {policy.region} has not begun."
        )
    if current is None:
        return rules.at(now)
    if now < current.end:
        return current
    if rules.renewal is Renewal.AUTOMATIC:
        return next_window(policy, current, now)
    raise RefusalError(
        "window-over",
        f"Window {current.name} is over, and the operator of {policy.region} has not "
        "renewed the budget.",
    )


def next_window(policy: Policy, current: Window | None, now: datetime) -> Window:
    """Return the window of this moment; where the rules have changed, windows never overlap."""
    due = policy.window.at(now)
    return Window(max(due.start, current.end), due.end) if current else due
