"""Everybody's recommendations in one file, for a shop or an app to show: stays at the region.

recommender, arms  ->  lists  ->  Parquet: user_id, rank, item_id, score
                              ->  feedback store, where there is one: what is shown to whom
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from client.experiment import Arm
from client.feedback_store import ShownList
from client.recommender import Recommender
from client.region import Region
from client.reranking import ListRules
from privacy.query import IntArray


def write_recommendations(recommender: Recommender, path: Path, count: int = 10) -> int:
    """Write every user's best new items, all or nothing; return how many users they are.

    Parameters
    ----------
    recommender : Recommender
    path : Path
        ``user_id``, ``rank`` (from 1), ``item_id`` and ``score``; users without any new item
        are left out.
    count : int
        Items for each user.
    """
    table = _table(recommender, np.arange(len(recommender.profiles)), count)
    _write(table, path).replace(path)
    return int(table.user_id.nunique())


def show_recommendations(region: Region, path: Path, count: int = 10) -> int:
    """Write every user's best new items, each by the own arm, and keep that they are shown.

    Both or neither: a list that could not be kept is not given to anybody.

    Parameters
    ----------
    region : Region
    path, count
        As of :func:`write_recommendations`.

    Raises
    ------
    FeedbackError
        If it could not be kept what is shown; nothing was written then.
    """
    if region.feedback_store is None and region.assignment is None:
        return write_recommendations(region.recommender, path, count)
    tables = {arm: _of_arm(region, arm, rows, count) for arm, rows in _users_by_arm(region)}
    table = pd.concat(tables.values()).sort_values("row", kind="stable", ignore_index=True)
    unfinished = _write(table.drop(columns="row"), path)
    if region.feedback_store is not None:
        experiment = region.experiment.name if region.experiment else ""
        shown = (
            ShownList(
                user_id=str(user),
                items=[(item, "") for item in items.item_id],
                experiment=experiment,
                arm=arm.name if arm else "",
            )
            for arm, lists in tables.items()
            for user, items in lists.groupby("user_id", sort=False)
        )
        region.feedback_store.record(shown, region.settings.moment)
    unfinished.replace(path)
    return int(table.user_id.nunique())


def _users_by_arm(region: Region) -> Iterator[tuple[Arm | None, IntArray]]:
    """Go through the arms; without an experiment, all users are in none."""
    assignment, users = region.assignment, region.profiles.user_ids
    if assignment is None:
        yield None, np.arange(len(users))
        return
    numbers = assignment.numbers_of(users)
    for number, arm in enumerate(assignment.experiment.arms):
        yield arm, np.flatnonzero(numbers == number)


def _of_arm(region: Region, arm: Arm | None, rows: IntArray, count: int) -> pd.DataFrame:
    rules = ListRules(variety=arm.variety) if arm and arm.variety else None
    return _table(region.recommender_of(arm), rows, count, rules)


def _table(
    recommender: Recommender, users: IntArray, count: int, rules: ListRules | None = None
) -> pd.DataFrame:
    profiles = recommender.profiles
    items, scores = recommender.best_new(users, count, rules)
    rows, places = np.nonzero(items >= 0)
    ids = np.array(profiles.item_ids, dtype=object)
    return pd.DataFrame(
        {
            "user_id": np.array(profiles.user_ids, dtype=object)[users[rows]],
            "rank": places + 1,
            "item_id": ids[items[rows, places]],
            "score": scores[rows, places],
            "row": users[rows],
        }
    )


def _write(table: pd.DataFrame, path: Path) -> Path:
    """Write the lists beside their place; return where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    table.drop(columns="row", errors="ignore").to_parquet(unfinished, index=False)
    return unfinished
