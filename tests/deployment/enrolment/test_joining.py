from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from deployment.agent.errors import AgentError
from deployment.enrolment import joining
from deployment.enrolment.errors import EnrolmentError, UnreachableError
from deployment.enrolment.invitation import Invitation
from deployment.enrolment.joining import POLLS, ask_until_decided, settle
from deployment.enrolment.token import Token
from tests.client.examples import PEOPLE, SHOP

INVITED = Invitation(
    region="north",
    server="fed.example.org:8443",
    server_key="ab" * 32,
    authority="the authority's certificate",
    token=Token(bytes(32)),
)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    events, catalogue = tmp_path / "events.csv", tmp_path / "catalogue.csv"
    pd.DataFrame(PEOPLE, columns=["user_id", "item_id", "timestamp"]).assign(
        action="purchase"
    ).to_csv(events, index=False)
    items = {"item_id": list(SHOP), "text": list(SHOP.values()), "category": "SHOP"}
    pd.DataFrame(items).to_csv(catalogue, index=False)
    return events, catalogue


def test_agent_knows_the_server_that_invites(tmp_path: Path, files: tuple[Path, Path]) -> None:
    agent = settle(tmp_path / "north", INVITED, *files)
    assert (agent.region, agent.deployment.server) == (INVITED.region, INVITED.server)
    assert agent.deployment.certificate.read_text() == INVITED.authority
    policy = tomllib.loads((tmp_path / "north" / "policy.toml").read_text())
    assert policy["trusted"]["server-keys"] == [INVITED.server_key]


def test_said_again_nothing_is_made_anew(tmp_path: Path, files: tuple[Path, Path]) -> None:
    settle(tmp_path / "north", INVITED, *files)
    before = {path: path.read_bytes() for path in (tmp_path / "north").iterdir() if path.is_file()}
    settle(tmp_path / "north", INVITED, *files)
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.parametrize("other", [{"region": "south"}, {"server": "evil.example.org:8443"}])
def test_folder_of_another_region_or_server_is_left_alone(
    tmp_path: Path, files: tuple[Path, Path], other: dict[str, str]
) -> None:
    settle(tmp_path / "north", INVITED, *files)
    invited = Invitation(**{**_fields(INVITED), **other})
    with pytest.raises(EnrolmentError, match=r"Nothing was sent. Join in another folder"):
        settle(tmp_path / "north", invited, *files)


def test_half_a_folder_is_not_written_over(tmp_path: Path, files: tuple[Path, Path]) -> None:
    (tmp_path / "north").mkdir(mode=0o700)
    (tmp_path / "north" / "ca.crt").write_text("another authority")
    with pytest.raises(AgentError, match="exist already"):
        settle(tmp_path / "north", INVITED, *files)
    assert (tmp_path / "north" / "ca.crt").read_text() == "another authority"


Ask = Callable[..., tuple[str, list[str], list[float]]]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask a server that answers in this order; return the end, what was told, and the pauses."""

    def asked(
        *answers: str | Exception, seconds: float = 600
    ) -> tuple[str, list[str], list[float]]:
        left = list(answers)
        told: list[str] = []
        pauses: list[float] = []

        def enroll(*_: Any, **__: Any) -> str:
            answer = left.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(joining, "enroll", enroll)
        state = ask_until_decided(
            None,  # type: ignore[arg-type]
            INVITED,
            Path("ca.crt"),
            seconds=seconds,
            tell=told.append,
            sleep=pauses.append,
        )
        return state, told, pauses

    return asked


def test_waits_until_somebody_has_decided_and_tells_each_state_once(ask: Ask) -> None:
    told = ask("waiting", "waiting", "waiting", "waiting", "waiting", "approved")
    assert told == ("approved", ["waiting", "approved"], [*POLLS, POLLS[-1]])


@pytest.mark.parametrize("decided", ["approved", "declined", "revoked"])
def test_decision_ends_the_waiting(ask: Ask, decided: str) -> None:
    assert ask(decided) == (decided, [decided], [])


def test_server_that_is_away_for_a_while_is_waited_for(ask: Ask) -> None:
    told = ask("waiting", UnreachableError("away"), UnreachableError("away"), "approved")
    assert told[:2] == ("approved", ["waiting", "approved"])


def test_server_that_cannot_be_reached_at_first_is_told_at_once(ask: Ask) -> None:
    with pytest.raises(UnreachableError):
        ask(UnreachableError("away"))


def test_refusal_is_told_at_once(ask: Ask) -> None:
    with pytest.raises(EnrolmentError):
        ask("waiting", EnrolmentError("not accepted"))


def test_waiting_has_an_end(ask: Ask) -> None:
    assert ask("waiting", "waiting", seconds=8) == ("waiting", ["waiting"], [POLLS[0]])
    assert ask("waiting", seconds=0) == ("waiting", ["waiting"], [])


def _fields(invitation: Invitation) -> dict[str, Any]:
    return {name: getattr(invitation, name) for name in Invitation.__dataclass_fields__}
