"""What came of the lists that a client's users were shown, as answers need it.

store, assignment of arms, question  ->  whole numbers for each user

Exact and private. A user's numbers come from that user's rows alone, and are whole: no order of
adding them up rounds them differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from client.experiment import Assignment
from client.feedback_store import FeedbackStore
from privacy.query import IntArray
from privacy.window import Window
from strategies.questions import ListFeedback


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Feedback:
    """What came of the lists that users were shown, one entry for each. Private.

    Attributes
    ----------
    arms : int64, shape (n_users,)
        Each user's arm, from 0.
    shown, accepted, skipped : int64, shape (n_users,)
        Items.
    dwell_ms : int64, shape (n_users,)
        Milliseconds over all shown items, each item's up to the question's cap.
    """

    arms: IntArray
    shown: IntArray
    accepted: IntArray
    skipped: IntArray
    dwell_ms: IntArray

    def part(self, users: slice) -> Feedback:
        """Return some users'."""
        return Feedback(
            arms=self.arms[users],
            shown=self.shown[users],
            accepted=self.accepted[users],
            skipped=self.skipped[users],
            dwell_ms=self.dwell_ms[users],
        )


def read_feedback(
    store: FeedbackStore,
    assignment: Assignment,
    question: ListFeedback,
    user_ids: tuple[str, ...],
    *,
    moment: datetime,
    within: Window | None,
) -> Feedback:
    """Return what a question asks about the given users.

    What another arm showed to a user, before the experiment's arms were changed, does not count.

    Parameters
    ----------
    store : FeedbackStore
    assignment : Assignment
    question : ListFeedback
    user_ids : tuple of str, length n_users
    moment : datetime
        What is shown later is not looked at.
    within : Window, optional
        What was shown outside of it is not looked at.
    """
    since = moment - timedelta(days=min(question.window_days, store.keep_days))
    until = moment + timedelta(microseconds=1)
    if within is not None:
        since, until = max(since, within.start), min(until, within.end)
    experiment = assignment.experiment
    found = store.outcomes(experiment.name, since, until, question.dwell_cap)
    arms = assignment.numbers_of(user_ids)
    numbers = np.zeros((len(user_ids), 4), dtype=np.int64)
    for row, (user, arm) in enumerate(zip(user_ids, arms.tolist(), strict=True)):
        if one := found.get((user, experiment.arms[arm].name)):
            numbers[row] = one.shown, one.accepted, one.skipped, one.dwell_ms
    shown, accepted, skipped, dwell_ms = numbers.T
    return Feedback(arms=arms, shown=shown, accepted=accepted, skipped=skipped, dwell_ms=dwell_ms)
