"""Everybody's recommendations in one file, for a shop or an app to show: stays at the region.

recommender  ->  Parquet: user_id, rank, item_id, score
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from client.recommender import Recommender


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
    profiles = recommender.profiles
    items, scores = recommender.best_new(np.arange(len(profiles)), count)
    rows, places = np.nonzero(items >= 0)
    ids = np.array(profiles.item_ids, dtype=object)
    table = pd.DataFrame(
        {
            "user_id": np.array(profiles.user_ids, dtype=object)[rows],
            "rank": places + 1,
            "item_id": ids[items[rows, places]],
            "score": scores[rows, places],
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    table.to_parquet(unfinished, index=False)
    unfinished.replace(path)
    return len(np.unique(rows))
