"""``fedinterest policy``: a region's own rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

app = typer.Typer(
    help="A region's own rules: what it answers, and how much privacy it spends.",
    no_args_is_help=True,
)


@app.command("new")
def new_policy(
    path: Path,
    region: Annotated[str, typer.Option(help="The region's name.")],
) -> None:
    """Write a policy with careful defaults and a comment on each key.

    PATH is the file to write.

    Example: fedinterest policy new policy.toml --region north
    """
    from privacy.policy import write_default_policy

    write_default_policy(path, region)
    typer.echo(f"{path} is written. Read it, change it, then: fedinterest policy show {path}")


@app.command("show")
def show_policy(path: Path) -> None:
    """Say in sentences what a policy allows, and what to think about.

    PATH is the region's policy (TOML).

    Example: fedinterest policy show policy.toml
    """
    from client.operator_view import show_policy as show
    from privacy.code_identity import code_hash
    from privacy.policy import read_policy

    show(read_policy(path), code_hash())


def _length_of_catalogue(path: str) -> int | None:
    """Return how many items a run's encoded catalogue has; None where it is not at hand."""
    from strategies.public_catalogue import PublicCatalogue

    try:
        return len(PublicCatalogue.load(Path(path)).item_ids) if path else None
    except ValueError:
        return None


@app.command("check")
def check_policy(
    path: Path,
    run: Annotated[Path, typer.Option(help="The planned run: scenario or run-config (TOML).")],
    ledger: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="The region's ledger; left out, nothing has been spent yet."),
    ] = None,
    noise: Annotated[str, typer.Option(help="The noise that the agent adds.")] = "discrete",
) -> None:
    """Tell what a planned run would cost, before it runs. Exit status 1 if any of it is refused.

    PATH is the region's policy (TOML).

    Example: fedinterest policy check policy.toml --run scenario.toml --ledger ledger.sqlite
    """
    from datetime import UTC, datetime

    from client.operator_view import show_forecast
    from privacy.code_identity import code_hash
    from privacy.errors import PolicyError
    from privacy.forecast import forecast
    from privacy.ledger_check import read_account
    from privacy.policy import read_policy
    from privacy.query import NoiseKind
    from server.planning import planned_phases
    from server.run_config import read_run_config
    from strategies.plan import planned_releases

    policy = read_policy(path)
    config = read_run_config(run)
    n_items = _length_of_catalogue(config.public.catalogue)
    if noise not in set(NoiseKind):
        raise PolicyError(f"There is no noise of kind {noise!r}: {', '.join(NoiseKind)}.")
    account = read_account(ledger) if ledger else None
    if account and account.identity.region != policy.region:
        raise PolicyError(
            f"{ledger} is the ledger of {account.identity.region}, {path} is the policy of "
            f"{policy.region}. Nothing was checked."
        )
    hashes = policy.trusted.code_hashes
    if hashes and code_hash() not in hashes:
        raise PolicyError(
            f"{path} does not approve of this program ({code_hash()}): everything would be "
            "refused (code-not-allowed)."
        )
    simulated = account is not None and account.identity.simulated
    lines = forecast(
        policy,
        account,
        planned_releases(
            config.privacy.epsilon, config.privacy.delta, planned_phases(config, n_items)
        ),
        trust_model=config.privacy.trust_model,
        noise=NoiseKind(noise),
        participants=config.run.n_clients,
        now=datetime.fromisoformat(account.time) if account and simulated else datetime.now(UTC),
    )
    show_forecast(lines, policy)
    raise typer.Exit(1 if any(line.refusal for line in lines) else 0)
