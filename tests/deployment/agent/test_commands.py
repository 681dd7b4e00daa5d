"""What an operator types: laying an agent out, and letting bundles in."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from typer.testing import CliRunner

from client.errors import ClientError, SettingsError
from client.settings import read_settings
from commands.agent import app
from deployment.agent.approvals import Approvals, content_hash, read_approvals, write_approvals
from deployment.agent.errors import AgentError, ApprovalsError, BundleError, FlowerDriftError
from deployment.agent.private_files import read_secret
from deployment.agent.settings import read_agent, server_of
from deployment.agent.supernode import command_line
from deployment.agent.supernode import main as supernode
from deployment.hosting.secret_files import write_once
from privacy.errors import PrivacyError
from privacy.policy import read_policy
from privacy.signing import SigningKey
from tests.deployment.agent.examples import a_bundle, an_agent, zipped
from tests.deployment.agent.world import write_region

Run = Callable[..., Result]


@pytest.fixture
def agent_command() -> Run:
    def run(*arguments: str | Path, typed: str = "") -> Result:
        return CliRunner().invoke(app, [str(one) for one in arguments], input=typed)

    return run


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a region's events and catalogue."""
    write_region(tmp_path / "files")
    return tmp_path / "files"


def init(run: Run, files: Path, folder: Path, *more: str) -> Result:
    return run(
        "init",
        folder,
        "--region",
        "north",
        "--events",
        files / "events.csv",
        "--catalogue",
        files / "catalogue.csv",
        *more,
    )


def test_new_agent_is_whole_private_and_usable(
    agent_command: Run, files: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "north"
    told = init(agent_command, files, folder, "--server", "server.example.org:443")
    assert told.exit_code == 0, told.output
    agent = read_agent(folder / "agent.toml")
    deployment = agent.deployment
    assert (agent.region, server_of(agent)) == ("north", "server.example.org:443")
    assert read_policy(folder / "policy.toml").region == "north"
    assert SigningKey.load(folder / "ledger.key").public in told.output
    key = load_ssh_private_key(deployment.node_key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(key.curve, ec.SECP384R1)
    assert (folder / "node.key.pub").read_text().strip() in told.output
    assert read_approvals(deployment.approvals) == Approvals()
    secret = read_secret(deployment.runtime_secret)
    assert secret.decode() not in told.output
    for name in ("ledger.key", "node.key", "runtime.secret", "approvals.toml", "agent.toml"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
    options = command_line(agent)
    assert "--insecure" not in options
    assert str(folder / "ca.crt") in options
    assert not any(secret.decode() in option for option in options)
    assert "3 events can be used, 0 cannot; 5 items" in told.output


@pytest.mark.parametrize(
    "name", ["agent.toml", "policy.toml", "ledger.key", "node.key", "node.key.pub"]
)
def test_new_agent_overwrites_nothing_and_writes_nothing(
    agent_command: Run, files: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "north"
    folder.mkdir()
    (folder / name).write_text("mine")
    told = init(agent_command, files, folder)
    assert isinstance(told.exception, AgentError)
    assert name in str(told.exception)
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("events.csv", None),
        ("events.csv", "who,what\nanna,milk\n"),
        ("events.csv", "user_id,item_id,action,timestamp\nanna,nothing,purchase,yesterday\n"),
        ("catalogue.csv", None),
        ("catalogue.csv", "\0"),
    ],
)
def test_files_that_cannot_be_read_are_told_before_anything_is_written(
    agent_command: Run, files: Path, tmp_path: Path, name: str, content: str | None
) -> None:
    (files / name).unlink()
    if content is not None:
        (files / name).write_text(content)
    told = init(agent_command, files, tmp_path / "north")
    assert isinstance(told.exception, ClientError)
    assert name in str(told.exception)
    assert not (tmp_path / "north").exists()


@pytest.mark.parametrize("server", ["nowhere", "host:port", "user@host:1", "a b:1"])
def test_server_that_is_no_address_is_told_before_anything_is_written(
    agent_command: Run, files: Path, tmp_path: Path, server: str
) -> None:
    told = init(agent_command, files, tmp_path / "north", "--server", server)
    assert isinstance(told.exception, SettingsError | PrivacyError)
    assert "server" in str(told.exception)
    assert not (tmp_path / "north").exists()


GOOD, NEXT = a_bundle(code="x = 1\n"), a_bundle(code="x = 2\n\x1b[2J\n")


@pytest.fixture
def bundles(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "good.fab", tmp_path / "next.fab"
    for path, content in zip(paths, (GOOD, NEXT), strict=True):
        path.write_bytes(content)
    return paths


def test_bundle_is_shown_and_approved_after_a_yes(
    agent_command: Run, tmp_path: Path, bundles: tuple[Path, Path]
) -> None:
    agent = an_agent(tmp_path)
    good, later = bundles
    told = agent_command("approve", good, "--settings", agent.path, typed="yes\n")
    assert told.exit_code == 0, told.output
    assert content_hash(GOOD) in told.output
    assert "all of it is new" in told.output
    assert "does NOT hold the installed program" in told.output
    assert read_approvals(agent.deployment.approvals).allow(content_hash(GOOD))
    told = agent_command("approve", later, "--settings", agent.path, "--yes")
    assert told.exit_code == 0, told.output
    assert "-x = 1" in told.output
    assert "+x = 2" in told.output
    assert r"+\x1b[2J" in told.output
    assert "\x1b" not in told.output
    told = agent_command("approve", good, "--settings", agent.path, "--yes")
    assert len(read_approvals(agent.deployment.approvals).approved) == 2


@pytest.mark.parametrize("typed", ["no\n", "y\n", "YES\n", ""])
def test_anything_but_yes_approves_nothing(
    agent_command: Run, tmp_path: Path, bundles: tuple[Path, Path], typed: str
) -> None:
    agent = an_agent(tmp_path)
    told = agent_command("approve", bundles[0], "--settings", agent.path, typed=typed)
    assert told.exit_code == 1
    assert read_approvals(agent.deployment.approvals) == Approvals()
    assert not agent.bundles.exists()


def test_approvals_are_listed_and_withdrawn(
    agent_command: Run, tmp_path: Path, bundles: tuple[Path, Path]
) -> None:
    agent = an_agent(tmp_path)
    assert (
        "No bundle is approved"
        in agent_command("approve", "--list", "--settings", agent.path).output
    )
    for path in bundles:
        agent_command("approve", path, "--settings", agent.path, "--yes")
    found = content_hash(GOOD)
    assert found in agent_command("approve", "--list", "--settings", agent.path).output
    for wrong in ("", found[:7], "0" * 64):
        told = agent_command("approve", "--withdraw", wrong, "--settings", agent.path)
        assert isinstance(told.exception, AgentError), wrong
    told = agent_command("approve", "--withdraw", found[:12], "--settings", agent.path)
    assert f"Withdrawn: {found}" in told.output
    kept = read_approvals(agent.deployment.approvals)
    assert [entry.hash for entry in kept.approved] == [content_hash(NEXT)]


def test_release_key_approves_without_asking_once_it_is_pinned(
    agent_command: Run, tmp_path: Path, bundles: tuple[Path, Path]
) -> None:
    agent = an_agent(tmp_path)
    key = SigningKey.create(tmp_path / "release.key")
    told = agent_command("approve", bundles[0], "--sign", tmp_path / "release.key")
    assert told.exit_code == 0, told.output
    signature = bundles[0].with_name("good.fab.sig")
    using = ("--settings", agent.path, "--signature", signature)
    told = agent_command("approve", bundles[0], *using)
    assert isinstance(told.exception, AgentError)
    write_approvals(agent.deployment.approvals, Approvals(release_keys=(key.public,)))
    told = agent_command("approve", bundles[1], *using)  # of another bundle
    assert isinstance(told.exception, AgentError)
    told = agent_command("approve", bundles[0], *using)
    assert told.exit_code == 0, told.output
    (entry,) = read_approvals(agent.deployment.approvals).approved
    assert entry.release_key == key.public


def test_damaged_list_is_not_written_over(
    agent_command: Run, tmp_path: Path, bundles: tuple[Path, Path]
) -> None:
    agent = an_agent(tmp_path)
    agent.deployment.approvals.write_text("damaged")
    told = agent_command("approve", bundles[0], "--settings", agent.path, "--yes")
    assert isinstance(told.exception, ApprovalsError)
    assert agent.deployment.approvals.read_text() == "damaged"


def test_copy_that_was_changed_is_not_compared_with(
    agent_command: Run, tmp_path: Path, bundles: tuple[Path, Path]
) -> None:
    agent = an_agent(tmp_path)
    agent_command("approve", bundles[0], "--settings", agent.path, "--yes")
    (agent.bundles / f"{content_hash(GOOD)}.fab").write_bytes(NEXT)
    told = agent_command("approve", bundles[1], "--settings", agent.path, "--yes")
    assert isinstance(told.exception, BundleError)
    assert "it is not what was approved" in str(told.exception)


def test_hostile_bundle_is_not_approved(agent_command: Run, tmp_path: Path) -> None:
    agent = an_agent(tmp_path)
    path = tmp_path / "evil.fab"
    path.write_bytes(zipped({"../evil.py": "x"}))
    told = agent_command("approve", path, "--settings", agent.path, "--yes")
    assert isinstance(told.exception, BundleError)
    assert read_approvals(agent.deployment.approvals) == Approvals()


def test_what_is_asked_for_has_to_be_clear(agent_command: Run, tmp_path: Path) -> None:
    assert agent_command("approve").exit_code == 2
    assert agent_command("approve", "a.fab", "--list").exit_code == 2
    assert agent_command("approve", "--list", "--sign", "a.key").exit_code == 2


def test_both_verbs_help_with_an_example(agent_command: Run) -> None:
    for verb in ("init", "approve"):
        assert f"fedinterest agent {verb}" in agent_command(verb, "--help").output


@pytest.mark.parametrize("server", ["10.0.0.1:9092", "server.example.org:443", "[::2]:1"])
def test_server_elsewhere_is_not_spoken_to_without_tls(tmp_path: Path, server: str) -> None:
    agent = an_agent(tmp_path, server=server, insecure=True)
    with pytest.raises(AgentError, match="not this machine"):
        server_of(agent)
    for here in ("127.0.0.1:1", "[::1]:1", "localhost:1"):
        assert server_of(an_agent(tmp_path, server=here, insecure=True)) == here


def test_agent_without_a_server_or_section_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="names no server"):
        server_of(an_agent(tmp_path))
    write_region(tmp_path)
    with pytest.raises(AgentError, match=r"no section \[deployment\]"):
        read_agent(tmp_path / "agent.toml")


def test_the_client_reads_settings_with_and_without_the_section(tmp_path: Path) -> None:
    agent = an_agent(tmp_path, approvals="elsewhere/list.toml")
    deployment = read_settings(agent.path).deployment
    assert deployment is not None
    assert deployment.approvals == tmp_path / "elsewhere" / "list.toml"
    assert deployment.refusals == tmp_path / "refusals.jsonl"
    with pytest.raises(SettingsError, match="surprise"):
        an_agent(tmp_path, surprise=1)
    with pytest.raises(SettingsError, match="runtime-port"):
        an_agent(tmp_path, runtime_port=0)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_secret_that_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "runtime.secret"
    write_once(path, b"s" * 64)
    path.chmod(mode)
    with pytest.raises(AgentError, match="by others") as caught:
        read_secret(path)
    assert "ssss" not in str(caught.value)


def test_short_or_missing_secret_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "runtime.secret"
    with pytest.raises(AgentError, match="cannot be read"):
        read_secret(path)
    write_once(path, b"short")
    with pytest.raises(AgentError, match="5 bytes"):
        read_secret(path)


def test_process_says_in_one_sentence_why_it_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in ([], [str(tmp_path / "missing.toml")]):
        with pytest.raises(SystemExit) as stopped:
            supernode(arguments)
        assert stopped.value.code == 2
        said = capsys.readouterr().err
        assert "Traceback" not in said
        assert said.count("\n") == 1


def test_process_does_not_start_when_flower_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = an_agent(tmp_path, server="127.0.0.1:1", insecure=True)
    write_once(agent.deployment.runtime_secret, b"s" * 64)
    monkeypatch.setattr("deployment.agent.supernode.prepare_process", lambda agent: None)

    def drifted() -> None:
        raise FlowerDriftError("Flower 2 was found, Flower 1.41 is wanted")

    monkeypatch.setattr("deployment.agent.node_pinning.refuse_drift", drifted)
    with pytest.raises(SystemExit) as stopped:
        supernode([str(agent.path)])
    assert stopped.value.code == 2
    assert "Flower 1.41 is wanted" in capsys.readouterr().err
