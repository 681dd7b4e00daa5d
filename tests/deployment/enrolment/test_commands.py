from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployment.enrolment import decisions, enrolling, overview
from deployment.enrolment.errors import EnrolmentError, TokenError, UnreachableError
from deployment.enrolment.intake import Intake
from deployment.enrolment.store import EnrolmentStore
from deployment.enrolment.token import Token
from deployment.enrolment.transport import Answer
from privacy.signing import SigningKey
from tests.deployment.enrolment.command_line import point_at, run, write_agent, write_token
from tests.deployment.enrolment.examples import an_agent
from tests.deployment.enrolment.fake_superlink import FakeSuperlink

GROUPS = re.compile(r"(?:[0-9a-f]{4} ){7}[0-9a-f]{4}")


class Wire:
    """What lies between `agent enroll` and a server's intake; no network."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.bodies: list[bytes] = []
        self.answer: Answer | None = None

    def post(self, server: str, ca: Path, body: bytes) -> Answer:
        self.bodies.append(body)
        if self.answer is not None:
            return self.answer
        state = self.intake.take(body).state
        if not state:
            return Answer(403, b'{"detail":"no"}', datetime.now(UTC))
        return Answer(200, f'{{"state":"{state}"}}'.encode(), datetime.now(UTC))


@pytest.fixture
def wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wire:
    store = EnrolmentStore(tmp_path / "server" / "enrolment.sqlite")
    made = Wire(Intake(store, lambda: datetime.now(UTC)))
    monkeypatch.setattr(enrolling, "post", made.post)
    fake = FakeSuperlink()
    monkeypatch.setattr(decisions, "reach", fake.reach)
    monkeypatch.setattr(overview, "reach", fake.reach)
    SigningKey.create(tmp_path / "server" / "server.key")
    (tmp_path / "server" / "server.toml").write_text(
        'hosts = ["localhost"]\nsigning-key = "server.key"\n', encoding="utf-8"
    )
    return made


def server(folder: Path, verb: str, *arguments: str, answer: str = "") -> str:
    """Run a verb of the server that needs the SuperLink; return what it printed."""
    result = run("server", verb, *arguments, "--folder", folder / "server", answer=answer)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output + f"\nexit {result.exit_code}"


def enroll(folder: Path, token: str, **files: str) -> str:
    settings = write_agent(folder / "agent", **files)
    path = write_token(folder, token)
    point_at(settings, "localhost:1", folder / "ca.crt")
    result = run("agent", "enroll", "--settings", settings, "--token-file", path)
    if result.exception:
        raise result.exception
    return result.output


def make_token(folder: Path, region: str = "north") -> str:
    result = run("server", "token", region, "--folder", folder / "server")
    assert result.exit_code == 0, result.exception
    Token.parse(result.stdout)  # nothing else is on standard output
    return str(result.stdout)


def test_from_a_token_to_a_region_that_takes_part(tmp_path: Path, wire: Wire) -> None:
    token = make_token(tmp_path)
    asked = enroll(tmp_path, token)
    assert "waits for the server's operator" in asked
    shown = run("server", "requests", "--folder", tmp_path / "server").output
    groups = GROUPS.findall(asked)
    assert len(groups) == 2
    assert GROUPS.findall(shown) == groups  # what is read out is what is seen
    approved = server(tmp_path, "approve", "north", answer="y\n")
    assert GROUPS.findall(approved) == groups
    assert "takes part as node 100" in approved
    assert "approved by" in server(tmp_path, "nodes")
    assert "Start the agent" in enroll(tmp_path, token)
    assert "No request waits" in run("server", "requests", "--folder", tmp_path / "server").output
    assert "is revoked" in server(tmp_path, "revoke", "north", "--yes")
    assert "revoked by" in server(tmp_path, "nodes")
    assert "has revoked this region" in enroll(tmp_path, token)


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_without_a_yes_nothing_is_decided(tmp_path: Path, wire: Wire, answer: str) -> None:
    token = make_token(tmp_path)
    enroll(tmp_path, token)
    assert server(tmp_path, "approve", "north", answer=answer).endswith("exit 1")
    assert server(tmp_path, "revoke", "north", answer=answer).endswith("exit 1")
    assert "waits" in enroll(tmp_path, token)


def test_incidents_are_shown_to_the_servers_operator_alone(tmp_path: Path, wire: Wire) -> None:
    token = make_token(tmp_path)
    enroll(tmp_path, token)
    (tmp_path / "agent").rename(tmp_path / "before")
    with pytest.raises(EnrolmentError) as error:  # other keys, the same token
        enroll(tmp_path, token)
    assert "used-twice" not in str(error.value)
    shown = run("server", "requests", "--folder", tmp_path / "server").output
    assert re.search(r"1 x token-used-twice  region north, last .* INCIDENT", shown)


def test_the_token_is_neither_sent_nor_printed_nor_kept(tmp_path: Path, wire: Wire) -> None:
    token = make_token(tmp_path)
    secret = Token.parse(token).secret
    printed = enroll(tmp_path, token) + server(tmp_path, "approve", "north", "--yes")
    (tmp_path / "token.txt").unlink()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for content in (*wire.bodies, printed.encode(), kept):
        assert secret not in content
        assert secret.hex().encode() not in content


def test_an_agent_enrolls_with_the_key_that_signs_its_ledger(tmp_path: Path, wire: Wire) -> None:
    enroll(tmp_path, make_token(tmp_path))
    key = SigningKey.load(tmp_path / "agent" / "ledger.key").public
    assert key.encode() in wire.bodies[0]
    assert (tmp_path / "agent" / "node.key").stat().st_mode & 0o777 == 0o600


def test_asking_again_makes_no_other_keys(tmp_path: Path, wire: Wire) -> None:
    token = make_token(tmp_path)
    first, again = enroll(tmp_path, token), enroll(tmp_path, token)
    assert first == again
    assert wire.bodies[0] != wire.bodies[1]


def test_a_bad_token_is_told_before_any_key_is_made(tmp_path: Path, wire: Wire) -> None:
    with pytest.raises(TokenError, match="Nothing was sent"):
        enroll(tmp_path, "no token")
    assert sorted(path.name for path in (tmp_path / "agent").iterdir()) == [
        "agent.toml",
        "policy.toml",
    ]
    assert wire.bodies == []


def test_a_policy_of_another_region_is_told(tmp_path: Path, wire: Wire) -> None:
    token = make_token(tmp_path)
    with pytest.raises(EnrolmentError, match="is for region 'south', the agent is 'north'"):
        enroll(tmp_path, token, policy_region="south")
    assert wire.bodies == []


def test_a_simulated_agent_is_not_enrolled(tmp_path: Path, wire: Wire) -> None:
    settings = write_agent(tmp_path / "agent")
    settings.write_text(settings.read_text() + 'noise = "seeded"\n[simulation]\nnoise-seed = 1\n')
    path = write_token(tmp_path, make_token(tmp_path))
    point_at(settings, "localhost:1", tmp_path / "ca.crt")
    result = run(
        *("agent", "enroll", "--settings", settings, "--token-file", path),
    )
    assert "simulated agent's. Nothing was sent" in str(result.exception)
    assert not (tmp_path / "agent" / "ledger.sqlite").exists()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Answer(403, b"", datetime.now(UTC)), "It tells nobody why"),
        (Answer(429, b"", None), "Say the same again in some minutes"),
        (Answer(502, b"<html>", None), "Say the same again in some minutes"),
        (Answer(404, b"", None), "There is no enrolment service at this address"),
        (Answer(200, b"", None), "did not accept"),
        (Answer(200, b'{"state":["approved"]}', None), "did not accept"),
        (Answer(200, b'{"state":"\x1b[31m"}', None), "did not accept"),
        (Answer(200, b"[" * 4000, None), "did not accept"),
        (Answer(302, b'{"state":"approved"}', None), "did not accept"),
        (Answer(403, b"", datetime(2020, 1, 1, tzinfo=UTC)), "s ahead of the server's"),
        (Answer(403, b"", datetime(2090, 1, 1, tzinfo=UTC)), "s behind the server's"),
    ],
)
def test_answers_that_are_no_acceptance(
    tmp_path: Path, wire: Wire, answer: Answer, sentence: str
) -> None:
    wire.answer = answer
    with pytest.raises(EnrolmentError, match=re.escape(sentence)) as error:
        enroll(tmp_path, Token.create().text)
    assert str(error.value).isprintable()


def test_a_server_that_cannot_be_trusted_is_told(
    tmp_path: Path, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(server: str, ca: Path, body: bytes) -> Answer:
        raise UnreachableError("The certificate has expired. Nothing was sent.")

    monkeypatch.setattr(enrolling, "post", fail)
    with pytest.raises(UnreachableError, match="Nothing was sent"):
        enroll(tmp_path, make_token(tmp_path))


def test_a_disagreement_ends_nodes_with_status_1(tmp_path: Path, wire: Wire) -> None:
    assert "No region is enrolled.\n\nexit 0" in server(tmp_path, "nodes")
    enroll(tmp_path, make_token(tmp_path))
    server(tmp_path, "approve", "north", "--yes")
    (tmp_path / "server" / "known-regions.json").unlink()
    told = server(tmp_path, "nodes")
    assert "known-regions.json cannot be read" in told
    assert told.endswith("exit 1")


def test_each_verb_has_an_example() -> None:
    for verb in ("token", "requests", "approve", "revoke", "nodes"):
        assert f"Example: fedinterest server {verb}" in run("server", verb, "--help").output
    assert "Example: fedinterest agent enroll" in run("agent", "enroll", "--help").output


def test_a_request_for_another_region_shows_no_name_of_the_senders(
    tmp_path: Path, wire: Wire
) -> None:
    """What an unknown sender says is in no list that the operator reads."""
    token = Token.create()
    stranger = an_agent("call 555 now")
    wire.intake.take(enrolling.sign_request(stranger, token, datetime.now(UTC)).write())
    shown = run("server", "requests", "--folder", tmp_path / "server").output
    assert "unknown-token" in shown
    assert "555" not in shown
