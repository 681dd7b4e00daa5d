"""``fedinterest recommend``, ``recommend-all``, ``feedback``: a client's own lists."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def recommend(
    user: str,
    settings: Annotated[Path, typer.Option(help="The region's agent.toml.")],
    count: Annotated[int, typer.Option("--k", min=1, help="Items per list.")] = 10,
    explain: Annotated[bool, typer.Option("--explain", help="Give the reasons.")] = False,
    interest: Annotated[
        list[str] | None,
        typer.Option(help="What the user says to be interested in. May be repeated."),
    ] = None,
    language: Annotated[str, typer.Option(help="Of the reasons: en or zh.")] = "en",
    variety: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="0: by score alone; 1: by difference alone. Leaves any experiment."
        ),
    ] = None,
    freshness: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="0: by score alone; 1: the catalogue's newest first (column available_from). "
            "Leaves any experiment.",
        ),
    ] = 0.0,
    most_per_category: Annotated[
        int | None, typer.Option(min=1, help="Items of one category, at most.")
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(help="Item id or category that must not be shown. May be repeated."),
    ] = None,
) -> None:
    """Recommend to one user, on this machine, without any network.

    USER is an id, as in the region's events.

    Example: fedinterest recommend household-0900 --settings runs/demo/regions/region-1/agent.toml
    """
    from client.reasons import Language
    from client.region import open_region
    from client.reranking import ListRules
    from simulations.tell import recommendations

    if language not in tuple(Language):
        raise typer.BadParameter(f"{language!r} is not one of {', '.join(Language)}.")
    region = open_region(settings)
    arm = None if freshness or variety is not None else region.arm_of(user)
    recommender = region.recommender_of(arm)
    recommender.language = Language(language)
    unwanted = frozenset(exclude or ())
    recommendations(
        recommender,
        user,
        count=count,
        explain=explain,
        interests=region.stated_interests(interest) if interest else None,
        rules=ListRules(
            variety=variety if variety is not None else arm.variety if arm else 0.0,
            freshness=freshness,
            most_per_category=most_per_category,
            excluded_items=unwanted,
            excluded_categories=unwanted,
        ),
        experiment=(region.experiment.name, arm.name) if arm and region.experiment else ("", ""),
        keep=region.keep_shown,
    )


def recommend_all(
    settings: Annotated[Path, typer.Option(help="The region's agent.toml.")],
    out: Annotated[Path, typer.Option(help="Parquet file; it stays at the region.")],
    count: Annotated[int, typer.Option("--k", min=1, help="Items per user.")] = 10,
) -> None:
    """Write every user's best new items to a file, on this machine, without any network.

    Where feedback is kept, all of them count as shown.

    Example: fedinterest recommend-all --settings agent.toml --out everybody.parquet
    """
    from client.recommendation_files import show_recommendations
    from client.region import open_region

    users = show_recommendations(open_region(settings), out, count)
    typer.echo(f"{users} users' recommendations: {out}")


def feedback(
    settings: Path,
    user: Annotated[str | None, typer.Argument(show_default=False)] = None,
    item: Annotated[str | None, typer.Argument(show_default=False)] = None,
    accepted: Annotated[
        bool | None, typer.Option("--accepted/--skipped", help="What the user did with the item.")
    ] = None,
    dwell: Annotated[
        float | None, typer.Option(min=0, help="For how many seconds it was looked at.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", help="Import many: user_id, item_id, response, timestamp, dwell."),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Show exact counts, for this machine only.")
    ] = False,
    erase: Annotated[str | None, typer.Option(help="Erase all feedback of this user.")] = None,
) -> None:
    """Keep what came of recommended items, on this machine; look at it; erase a user's.

    SETTINGS is the region's agent.toml; USER and ITEM are ids, as in what was recommended.

    Example: fedinterest feedback agent.toml household-0900 COFFEE --accepted --dwell 20
    """
    wanted = [user is not None, file is not None, show, erase is not None]
    if wanted.count(True) != 1:
        raise typer.BadParameter(
            "say one of USER ITEM --accepted or --skipped, --from FILE, --show, --erase USER."
        )
    if (user is None) is not (item is None and accepted is None and dwell is None):
        raise typer.BadParameter("--accepted, --skipped and --dwell are for a USER and an ITEM.")

    from client import feedback_view
    from client.feedback_store import Response
    from client.region import open_region

    region = open_region(settings)
    if file is not None:
        feedback_view.bring_in(region, file)
    elif erase is not None:
        feedback_view.erase(region, erase)
    elif user is not None:
        if item is None or accepted is None:
            raise typer.BadParameter("name the ITEM, and say --accepted or --skipped.")
        response = Response.ACCEPTED if accepted else Response.SKIPPED
        feedback_view.note(region, user, item, response, dwell)
    else:
        feedback_view.show(region)
