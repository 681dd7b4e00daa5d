from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deployment.enrolment import decisions, overview
from deployment.enrolment.decisions import approve, enrolments, revoke, to_approve
from deployment.enrolment.errors import EnrolmentError, KnownRegionsWriteError, TokenError
from deployment.enrolment.known_regions import is_current
from deployment.enrolment.overview import look
from deployment.enrolment.places import EnrollingServer
from deployment.hosting.node_key import read_point
from deployment.server.node_addresses import mark_of
from privacy.errors import KeyFileError
from privacy.signing import SigningKey
from server.known_regions import read_known_regions
from tests.deployment.enrolment.examples import NOON, Setting, an_agent
from tests.deployment.enrolment.fake_superlink import FakeSuperlink


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


@pytest.fixture
def superlink(monkeypatch: pytest.MonkeyPatch) -> FakeSuperlink:
    fake = FakeSuperlink()
    monkeypatch.setattr(decisions, "reach", fake.reach)
    monkeypatch.setattr(overview, "reach", fake.reach)
    return fake


@pytest.fixture
def server(tmp_path: Path) -> EnrollingServer:
    SigningKey.create(tmp_path / "server.key")
    return EnrollingServer(tmp_path, "127.0.0.1:1", None, tmp_path / "server.key")


def known(server: EnrollingServer) -> list[str]:
    key = SigningKey.load(server.signing_key).public
    return sorted(read_known_regions(server.known_regions, key).regions)


def approve_region(server: EnrollingServer, setting: Setting, region: str = "north") -> int:
    return approve(server, to_approve(setting.store, region), who="bo", moment=NOON)


def revoke_region(server: EnrollingServer, region: str = "north") -> str:
    return revoke(server, region, who="cy", moment=NOON + timedelta(days=1))


def test_an_approved_region_is_registered_known_and_told_so(
    setting: Setting, superlink: FakeSuperlink, server: EnrollingServer
) -> None:
    agent, token = an_agent(), setting.token()
    setting.ask(agent, token)
    assert superlink.registered() == []
    node = approve_region(server, setting)
    assert superlink.registered() == [agent.node_key.public]
    (record,) = enrolments(setting.store, "approved")
    assert (record.region, record.node_id, record.approved_by) == ("north", str(node), "bo")
    assert record.request.ledger_key == agent.ledger_key
    assert known(server) == ["north"]
    assert setting.ask(agent, token).state == "approved"
    with pytest.raises(TokenError, match="is enrolled"):
        setting.token()


def test_a_revoked_region_is_out_and_its_record_stays(
    setting: Setting, superlink: FakeSuperlink, server: EnrollingServer
) -> None:
    agent, token = an_agent(), setting.token()
    setting.ask(agent, token)
    approve_region(server, setting)
    assert revoke_region(server) == "revoked"
    assert superlink.registered() == []
    assert known(server) == []
    (record,) = enrolments(setting.store, "revoked")
    assert (record.approved_by, record.ended_by) == ("bo", "cy")
    assert setting.ask(agent, token).state == "revoked"


def test_a_revoked_region_comes_back_with_a_new_node_key_alone(
    setting: Setting, superlink: FakeSuperlink, server: EnrollingServer
) -> None:
    ledger = SigningKey.create(server.folder / "ledger.key")
    agent = an_agent(ledger=ledger)
    setting.ask(agent, setting.token())
    approve_region(server, setting)
    revoke_region(server)
    again = setting.token()
    assert setting.ask(agent, again).state == ""
    assert setting.refused() == {"node-key-seen-before": 1}
    assert setting.ask(an_agent(ledger=ledger), again).state == "waiting"
    approve_region(server, setting)
    assert known(server) == ["north"]
    assert len(enrolments(setting.store, "approved", "revoked")) == 2


def test_what_waits_can_be_declined(
    setting: Setting, superlink: FakeSuperlink, server: EnrollingServer
) -> None:
    agent, token = an_agent(), setting.token()
    setting.ask(agent, token)
    assert revoke_region(server) == "declined"
    assert setting.ask(agent, token).state == "declined"
    assert known(server) == []
    with pytest.raises(EnrolmentError, match=r"No request .* waits. Nothing was approved"):
        approve_region(server, setting)
    assert superlink.known == {}


@pytest.mark.parametrize("region", ["north", "elsewhere"])
def test_nothing_to_decide_is_told(
    setting: Setting, superlink: FakeSuperlink, server: EnrollingServer, region: str
) -> None:
    setting.token()
    with pytest.raises(EnrolmentError, match="Nothing was approved"):
        approve_region(server, setting, region)
    with pytest.raises(EnrolmentError, match="Nothing was revoked"):
        revoke_region(server, region)


def test_only_the_request_that_was_seen_is_approved(
    setting: Setting, superlink: FakeSuperlink, server: EnrollingServer
) -> None:
    setting.ask(an_agent(), setting.token())
    seen = to_approve(setting.store, "north")
    revoke_region(server)
    setting.ask(an_agent(), setting.token())
    with pytest.raises(EnrolmentError, match="that was shown no longer waits"):
        approve(server, seen, who="bo", moment=NOON)
    assert superlink.known == {}  # not even for a moment


def test_a_request_that_is_declined_while_it_is_approved_stays_out(
    setting: Setting,
    superlink: FakeSuperlink,
    server: EnrollingServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setting.ask(an_agent(), setting.token())
    register = superlink.register

    def slowly(point: str) -> int:
        node = register(point)
        with setting.store.writing() as db:
            db.execute("UPDATE enrolments SET state = 'declined'")
        return node

    monkeypatch.setattr(superlink, "register", slowly)
    with pytest.raises(EnrolmentError, match="no longer waits"):
        approve_region(server, setting)
    assert superlink.registered() == []
    assert not server.known_regions.exists()


def test_an_approval_that_is_killed_is_finished_by_saying_it_again(
    setting: Setting, superlink: FakeSuperlink, server: EnrollingServer
) -> None:
    setting.ask(an_agent(), setting.token())
    superlink.dies_after_registering = True
    with pytest.raises(KeyboardInterrupt):
        approve_region(server, setting)
    assert setting.waiting() == ["north"]
    assert any("is no enrolled region's" in one for one in look(server).troubles)
    superlink.dies_after_registering = False
    approve_region(server, setting)
    assert len(superlink.known) == 1
    assert known(server) == ["north"]


def test_declining_after_a_killed_approval_takes_the_node_out_again(
    setting: Setting, superlink: FakeSuperlink, server: EnrollingServer
) -> None:
    setting.ask(an_agent(), setting.token())
    superlink.dies_after_registering = True
    with pytest.raises(KeyboardInterrupt):
        approve_region(server, setting)
    assert revoke_region(server) == "declined"
    assert superlink.registered() == []


def test_without_a_superlink_nothing_is_approved(
    setting: Setting, superlink: FakeSuperlink, server: EnrollingServer
) -> None:
    setting.ask(an_agent(), setting.token())
    superlink.is_up = False
    with pytest.raises(EnrolmentError, match="SuperLink is down"):
        approve_region(server, setting)
    assert setting.waiting() == ["north"]
    assert not server.known_regions.exists()


def test_without_a_superlink_a_region_is_revoked_at_once_and_unregistered_later(
    setting: Setting, superlink: FakeSuperlink, server: EnrollingServer
) -> None:
    setting.ask(an_agent(), setting.token())
    approve_region(server, setting)
    superlink.is_up = False
    with pytest.raises(EnrolmentError, match="may still be registered"):
        revoke_region(server)
    assert known(server) == []
    superlink.is_up = True
    assert any("is still registered" in one for one in look(server).troubles)
    assert revoke_region(server) == "revoked"
    assert superlink.registered() == []
    assert look(server).troubles == []
    with pytest.raises(EnrolmentError, match="Nothing was revoked"):
        revoke_region(server)


def test_without_the_servers_key_nothing_is_changed(
    setting: Setting, superlink: FakeSuperlink, server: EnrollingServer
) -> None:
    setting.ask(an_agent(), setting.token())
    server.signing_key.unlink()
    with pytest.raises(KeyFileError):
        approve_region(server, setting)
    with pytest.raises(KeyFileError):
        revoke_region(server)
    assert setting.waiting() == ["north"]
    assert superlink.known == {}


def test_a_record_of_known_regions_that_cannot_be_written_is_told_and_written_later(
    setting: Setting, superlink: FakeSuperlink, server: EnrollingServer
) -> None:
    setting.ask(an_agent(), setting.token())
    blocking = server.known_regions.with_name("known-regions.json.new")
    blocking.mkdir()
    with pytest.raises(KnownRegionsWriteError, match="say the same again"):
        approve_region(server, setting)
    blocking.rmdir()
    approve_region(server, setting)
    assert known(server) == ["north"]
    (record,) = enrolments(setting.store, "approved")
    assert record.approved_by == "bo"


def test_records_that_agree_are_shown_without_trouble(
    setting: Setting, superlink: FakeSuperlink, server: EnrollingServer
) -> None:
    assert look(server) == overview.Overview([], [])
    for region in ("north", "south"):
        setting.ask(an_agent(region), setting.token(region))
        approve_region(server, setting, region)
    revoke_region(server, "south")
    seen = look(server)
    assert seen.troubles == []
    assert [row.region for row in seen.rows] == ["north", "south"]
    assert "approved by bo" in seen.rows[0].sentence
    assert "revoked by cy" in seen.rows[1].sentence


def test_each_disagreement_is_told(
    setting: Setting, superlink: FakeSuperlink, server: EnrollingServer
) -> None:
    agent = an_agent()
    setting.ask(agent, setting.token())
    approve_region(server, setting)
    old = server.known_regions.read_bytes()
    superlink.unregister(agent.node_key.public)
    assert any("is not registered at the SuperLink" in one for one in look(server).troubles)
    revoke_region(server)
    server.known_regions.write_bytes(old)
    assert any("is older than the records" in one for one in look(server).troubles)
    server.known_regions.write_bytes(old.replace(b"north", b"south"))
    assert any("was changed after it was signed" in one for one in look(server).troubles)
    server.known_regions.unlink()
    assert any("cannot be read" in one for one in look(server).troubles)


def test_a_node_that_seems_to_be_in_two_places_is_an_incident(
    setting: Setting, superlink: FakeSuperlink, server: EnrollingServer
) -> None:
    agent, log = an_agent(), server.folder / "nginx.log"
    setting.ask(agent, setting.token())
    approve_region(server, setting)
    watched = replace(server, nginx_log=log)
    mark, now = mark_of(read_point(agent.node_key.public)), datetime.now(UTC).isoformat()
    spoken = [f"{now} node {mark} {address}\n" for address in ("10.0.0.1", "192.0.2.6")]
    log.write_text("".join(spoken))
    assert look(watched).troubles == []
    log.write_text("".join([*spoken, spoken[0]]))
    (trouble,) = look(watched).troubles
    assert trouble.startswith("INCIDENT: the node of region north speaks from 10.0.0.1 and 192.0.")


def test_a_superlink_that_lost_its_records_gets_the_node_again(
    setting: Setting, superlink: FakeSuperlink, server: EnrollingServer
) -> None:
    setting.ask(an_agent(), setting.token())
    approve_region(server, setting)
    superlink.known.clear()
    assert look(server).troubles
    approve_region(server, setting)
    assert look(server).troubles == []


def test_the_record_of_known_regions_follows_each_decision(
    setting: Setting, superlink: FakeSuperlink, server: EnrollingServer
) -> None:
    key = SigningKey.load(server.signing_key).public
    sequences = []
    for region in ("a", "b", "c"):
        setting.ask(an_agent(region), setting.token(region))
        approve_region(server, setting, region)
        sequences.append(read_known_regions(server.known_regions, key).sequence)
    revoke_region(server, "b")
    last = read_known_regions(server.known_regions, key)
    assert [*sequences, last.sequence] == [1, 2, 3, 4]
    assert sorted(last.regions) == ["a", "c"]
    assert is_current(last, setting.store)
