"""``fedinterest store``: the database that runs are recorded in."""

from __future__ import annotations

import typer

app = typer.Typer(help="The database that runs are recorded in.", no_args_is_help=True)


@app.command("info")
def store_info(place: str) -> None:
    """Show what is in a run store, its schema's version and its size.

    PLACE is a file (SQLite), or a PostgreSQL URL. Nothing is made where there is none.

    Example: fedinterest store info runs/dashboard.sqlite
    """
    from server.run_store.counts import overview
    from server.run_store.opening import open_store
    from server.run_store.upkeep import schema_version, size_in_bytes

    store = open_store(place, make=False)
    try:
        counts, version, size = overview(store), schema_version(store), size_in_bytes(store)
    finally:
        store.close()
    statuses = sorted(counts.by_status.items())
    by_status = ", ".join(f"{count} {status}" for status, count in statuses if count)
    latest = f"{counts.latest:%Y-%m-%d %H:%M} UTC" if counts.latest else "never"
    typer.echo(f"{store.place}: schema {version}, {size / 1e6:.1f} MB")
    typer.echo(f"runs      {counts.runs}" + (f" ({by_status})" if by_status else ""))
    typer.echo(f"releases  {counts.releases}, those that were taken out as well")
    typer.echo(f"regions   {counts.regions}")
    typer.echo(f"audits    {counts.audits}")
    typer.echo(f"written   {latest}")


@app.command("prune")
def prune_store(
    place: str,
    keep_days: float = typer.Option(365, help="Releases and refusals that are older go."),
    keep_runs: int = typer.Option(1000, help="So many of the latest runs stay."),
) -> None:
    """Take old releases, refusals and runs out of a run store. What they cost stays counted.

    PLACE is a file (SQLite), or a PostgreSQL URL. Runs under way are left alone; budgets, regions
    and audits stay. A file does not get smaller: its room is used again.

    Example: fedinterest store prune runs/dashboard.sqlite --keep-days 365 --keep-runs 1000
    """
    from server.run_store.opening import open_store
    from server.run_store.retention import prune

    store = open_store(place, make=False)
    try:
        gone = prune(store, keep_days=keep_days, keep_runs=keep_runs)
    finally:
        store.close()
    typer.echo(
        f"Taken out: {gone.runs} runs, {gone.releases} releases, {gone.refusals} refusals. "
        "What they cost is still counted."
    )
