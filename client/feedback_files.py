"""Many responses from one file, as a shop or an app has noted them.

file (CSV, Parquet, JSON Lines)  ->  responses to what was shown  +  rejected rows with a reason
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from client.errors import FeedbackError
from client.event_files import UNPARSED, read_rows
from client.events import ids, keep_rejected, number, timestamps
from client.feedback_store import Answered, FeedbackStore, Response

NEEDED = ("user_id", "item_id", "response", "timestamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """How an import went: exact counts, for this machine only.

    Attributes
    ----------
    kept : int
        Rows.
    rejected : dict of str to int
        Rows, by what is wrong with them.
    """

    kept: int
    rejected: dict[str, int]


def import_feedback(
    store: FeedbackStore, path: Path, rejected: Path, *, moment: datetime
) -> Imported:
    """Keep the responses of a file that belong to something shown; keep the others apart.

    All that can be used is kept together or not at all. The same file again changes nothing.

    Parameters
    ----------
    store : FeedbackStore
    path : Path
        Columns ``user_id``, ``item_id``, ``response`` (``accepted`` or ``skipped``),
        ``timestamp`` (with a time zone) and, optionally, ``dwell`` (seconds).
    rejected : Path
        CSV file of the rows that cannot be used; written only if there are any.
    moment : datetime
        Now: later responses cannot be used.

    Raises
    ------
    FeedbackError
        If the file or the store cannot be read, or a needed column is missing.
    """
    table = read_rows(path, "Feedback", FeedbackError)
    missing = [column for column in NEEDED if column not in table]
    if missing:
        raise FeedbackError(
            f"Feedback {path} has no column {missing[0]!r} (found: {', '.join(map(str, table))}). "
            f"Nothing was kept. It needs {', '.join(NEEDED)}, and may have dwell."
        )
    table = table.assign(**{name: None for name in ("dwell", UNPARSED) if name not in table})
    table = table.reset_index(drop=True)
    table["user_id"], table["item_id"] = ids(table.user_id), ids(table.item_id)
    when = timestamps(table.timestamp)
    dwell = pd.Series([_seconds(said) for said in table.dwell], index=table.index, dtype="float64")
    reasons = _reasons(table, when, dwell, moment)
    usable = when[reasons == ""].sort_values(kind="stable").index
    responses = [
        Answered(
            user_id=str(table.user_id[row]),
            item_id=str(table.item_id[row]),
            response=Response(table.response[row]),
            moment=when[row].to_pydatetime(),
            dwell=None if dwell[row] < 0 else float(dwell[row]),
        )
        for row in usable
    ]
    with store.answering(responses, moment) as problems:
        reasons[usable] = problems
        try:
            keep_rejected(table, reasons, rejected)
        except OSError as error:
            raise FeedbackError(
                f"Rejected rows cannot be written to {rejected} ({error.strerror}). "
                "Nothing was kept."
            ) from error
    counted = reasons[reasons != ""].value_counts()
    return Imported(
        kept=int((reasons == "").sum()),
        rejected={str(reason): int(count) for reason, count in counted.items()},
    )


def _seconds(said: object) -> float:
    """Return a dwell; -1 where nothing is said, missing where it is no number of seconds."""
    if (
        said is None
        or said is pd.NA
        or said == ""
        or (isinstance(said, float) and math.isnan(said))
    ):
        return -1.0
    found = number(said)
    return found if 0 <= found < math.inf else math.nan


def _reasons(table: pd.DataFrame, when: pd.Series, dwell: pd.Series, moment: datetime) -> pd.Series:
    """Name what is wrong with each row; an empty string where nothing is."""
    reasons = pd.Series("", index=table.index)
    problems = {
        "dwell is not a number of seconds": dwell.isna(),
        "timestamp lies in the future": when > pd.Timestamp(moment),
        "timestamp is not a time with a time zone": when.isna(),
        "unknown response": ~table.response.isin([one.value for one in Response]),
        "no item": table.item_id.isna(),
        "no user": table.user_id.isna(),
        "line cannot be parsed": table[UNPARSED].notna(),
    }
    for reason, rows in problems.items():
        reasons[rows] = reason
    return reasons
