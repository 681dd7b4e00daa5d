"""What a region's operator does with feedback at a terminal: note, import, look, erase."""

from __future__ import annotations

import math
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from client.errors import FeedbackError
from client.feedback_files import import_feedback
from client.feedback_store import NOT_SHOWN, Answered, FeedbackStore, Response
from client.region import Region

console = Console(highlight=False)


def note(region: Region, user: str, item: str, response: Response, dwell: float | None) -> None:
    """Keep what one user did with one item.

    Raises
    ------
    FeedbackError
        If the item was not shown to the user, or it could not be kept.
    """
    if dwell is not None and not math.isfinite(dwell):
        raise FeedbackError(f"A dwell of {dwell} is no number of seconds. Nothing was kept.")
    moment = region.settings.moment
    one = Answered(user_id=user, item_id=item, response=response, moment=moment, dwell=dwell)
    with _store(region).answering([one], moment) as problems:
        if problems == [NOT_SHOWN]:
            raise FeedbackError(
                f"{item!r} was not shown to {user!r} in the last {region.settings.feedback_days:g} "
                "days. Nothing was kept. Items are spelt as in the catalogue; lists count as shown "
                "from `fedinterest recommend` or `recommend-all` on."
            )
        if problems[0]:
            raise FeedbackError(f"Nothing was kept: {problems[0]}.")
    console.print(f"Kept: {escape(user)}, {escape(item)}, {response.value}.", soft_wrap=True)


def bring_in(region: Region, path: Path) -> None:
    """Import many responses, and say how many could not be used and why."""
    beside = path.with_name(f"{path.stem}-rejected.csv")
    rejected = region.settings.rejected_feedback or beside
    found = import_feedback(_store(region), path, rejected, moment=region.settings.moment)
    console.print(f"Responses kept: {found.kept}.")
    for reason, rows in found.rejected.items():
        console.print(f"Rows that cannot be used: {rows} ({escape(reason)}).")
    if found.rejected:
        console.print(f"They are in {escape(str(rejected))}.", soft_wrap=True)


def show(region: Region) -> None:
    """Show exact counts to whoever works on this machine."""
    table = Table(box=SIMPLE_HEAD, title="Feedback on this machine", title_justify="left")
    for column in ("experiment", "arm", "users", "shown", "accepted", "skipped"):
        table.add_column(column, justify="left" if column in ("experiment", "arm") else "right")
    for experiment, arm, *counts in _store(region).exact_counts(region.settings.moment):
        table.add_row(experiment or "(none)", arm or "(none)", *map(str, counts))
    console.print(table)
    console.print(
        "These counts are exact: they are not for passing on. What a run reports of them has "
        "noise, and is charged to the ledger."
    )


def erase(region: Region, user: str) -> None:
    """Erase all feedback of one user."""
    erased = _store(region).erase(user)
    console.print(
        f"{erased} shown items of {escape(user)} are erased, with what came of them. Events, files "
        "of recommendations and files of rejected rows are not looked at.",
        soft_wrap=True,
    )


def _store(region: Region) -> FeedbackStore:
    store = region.feedback_store
    if store is None:
        raise FeedbackError(
            "This region keeps no feedback. Nothing was done. Say where, in its agent.toml: "
            'feedback = "feedback.sqlite"'
        )
    return store
