"""How agents fare is noted again and again; whatever is away meanwhile, nothing else minds."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from deployment.enrolment import decisions, heartbeats
from deployment.enrolment.decisions import approve, revoke, to_approve
from deployment.enrolment.heartbeats import Watch
from deployment.enrolment.places import EnrollingServer
from deployment.enrolment.superlink import Node
from privacy.signing import SigningKey
from server.run_store.opening import Store, open_store
from server.run_store.reading_regions import heartbeats as recorded
from server.run_store.region_records import HeartbeatRecord
from tests.deployment.enrolment.examples import NOON, Setting, an_agent
from tests.deployment.enrolment.fake_superlink import FakeSuperlink

HEARD, SINCE = NOON - timedelta(seconds=12), NOON - timedelta(hours=3)
STAYS = "is not recorded until that is over"
IS_WELL = "regions fare is recorded now"


class Scene:
    """A server whose SuperLink is in memory, and what looks after its regions."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.superlink = FakeSuperlink()
        monkeypatch.setattr(decisions, "reach", self.superlink.reach)
        monkeypatch.setattr(heartbeats, "reach", self.superlink.reach)
        monkeypatch.setattr(
            heartbeats, "open_store", lambda place: open_store(place, busy_seconds=0.2)
        )
        SigningKey.create(folder / "server.key")
        self.setting = Setting(folder)
        self.server = EnrollingServer(folder, "127.0.0.1:1", None, folder / "server.key")
        self.place = folder / "runs" / "dashboard.sqlite"
        self.watch = Watch(self.server, str(self.place))

    def enrol(self, region: str = "north") -> str:
        """Let a region in with new keys; return its node's key."""
        agent = an_agent(region)
        self.setting.ask(agent, self.setting.token(region))
        approve(self.server, to_approve(self.setting.store, region), who="bo", moment=NOON)
        return agent.node_key.public

    def node(self, key: str, status: str) -> None:
        """Let SuperLink say of a node how it fares."""
        number = self.superlink.known[key].node_id
        registered = status != "unregistered"
        self.superlink.known[key] = Node(number, registered, status, HEARD, SINCE)

    def look(self) -> list[HeartbeatRecord]:
        self.watch.look()
        return self.recorded()

    def recorded(self) -> list[HeartbeatRecord]:
        store = open_store(str(self.place), make=False)
        found = recorded(store)
        store.close()
        return found


@pytest.fixture
def scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Scene]:
    caplog.set_level(logging.INFO, logger="fedinterest.heartbeats")
    made = Scene(tmp_path, monkeypatch)
    yield made
    made.watch.close()


def states(found: list[HeartbeatRecord]) -> dict[str, str]:
    return {one.region: one.state for one in found}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("registered", "never seen"),
        ("online", "online"),
        ("offline", "offline"),
        ("unregistered", "not registered"),
        ("a word of another Flower", "unknown"),
    ],
)
def test_each_region_is_recorded_as_superlink_sees_its_node(
    scene: Scene, status: str, state: str
) -> None:
    key = scene.enrol()
    scene.node(key, status)
    begun = datetime.now(UTC)
    (found,) = scene.look()
    assert (found.region, found.state) == ("north", state)
    assert (found.last_heartbeat, found.since) == (HEARD, SINCE)
    assert found.node_id == str(scene.superlink.known[key].node_id)
    assert begun <= found.observed <= datetime.now(UTC)


def test_versions_are_those_of_the_enrolment_request(scene: Scene) -> None:
    scene.enrol()
    (request,) = decisions.enrolments(scene.setting.store, "approved")
    (found,) = scene.look()
    assert (found.version, found.flower) == (request.request.fedinterest, request.request.flower)
    assert found.told == NOON


def test_a_node_that_superlink_has_lost_is_not_registered(scene: Scene) -> None:
    scene.superlink.known.pop(scene.enrol())
    (found,) = scene.look()
    assert (found.state, found.last_heartbeat, found.since) == ("not registered", None, None)


def test_who_only_asks_to_be_enrolled_is_no_region_yet(scene: Scene) -> None:
    scene.setting.ask(an_agent("south"), scene.setting.token("south"))
    scene.setting.ask(an_agent("east"), scene.setting.token("east"))
    revoke(scene.server, "east", who="cy", moment=NOON)  # declined
    assert scene.look() == []


def test_a_revoked_region_is_called_so_whatever_its_node_still_does(scene: Scene) -> None:
    key = scene.enrol()
    revoke(scene.server, "north", who="cy", moment=NOON + timedelta(days=1))
    scene.node(key, "online")
    (found,) = scene.look()
    assert (found.state, found.since) == ("revoked", NOON + timedelta(days=1))
    assert found.last_heartbeat == HEARD


def test_of_two_nodes_of_a_region_the_one_enrolled_last_counts(scene: Scene) -> None:
    first = scene.enrol()
    scene.node(first, "online")
    assert states(scene.look()) == {"north": "online"}
    revoke(scene.server, "north", who="cy", moment=NOON)
    agent = an_agent("north")
    scene.setting.ask(agent, scene.setting.token("north"))
    assert states(scene.look()) == {"north": "revoked"}  # the second one waits for a person
    approve(scene.server, to_approve(scene.setting.store, "north"), who="bo", moment=NOON)
    (found,) = scene.look()
    assert (found.state, found.last_heartbeat) == ("never seen", None)
    assert found.node_id == str(scene.superlink.known[agent.node_key.public].node_id)


def test_a_superlink_that_is_away_is_told_once_and_what_was_seen_gets_old(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.node(scene.enrol(), "online")
    (before,) = scene.look()
    scene.superlink.is_up = False
    for _ in range(3):
        assert scene.look() == [before]
    assert caplog.text.count(STAYS) == 1
    assert "The SuperLink is down." in caplog.text
    assert before.state_at(before.observed + timedelta(minutes=4)) == "unknown"
    scene.superlink.is_up = True
    (after,) = scene.look()
    assert after.observed > before.observed
    assert caplog.text.count(IS_WELL) == 2


def test_a_store_that_is_away_is_told_once_and_enrolment_goes_on(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.node(scene.enrol(), "online")
    scene.place.parent.touch()  # nothing can be made there
    for _ in range(3):
        scene.watch.look()
    scene.enrol("south")
    assert caplog.text.count(STAYS) == 1
    assert "cannot be made" in caplog.text
    scene.place.parent.unlink()
    assert states(scene.look()) == {"north": "online", "south": "never seen"}
    assert caplog.text.count(IS_WELL) == 1


def test_a_store_that_is_held_is_told_once_and_written_later(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.node(scene.enrol(), "online")
    scene.look()
    other: Store = open_store(str(scene.place))
    scene.enrol("south")
    with other.write():
        for _ in range(2):
            assert states(scene.look()) == {"north": "online"}
    other.close()
    assert caplog.text.count("database is locked") == 1
    assert states(scene.look()) == {"north": "online", "south": "never seen"}


def test_a_store_that_was_removed_is_made_anew(scene: Scene) -> None:
    scene.node(scene.enrol(), "online")
    scene.look()
    for file in scene.place.parent.iterdir():
        file.unlink()
    scene.watch.look()
    assert states(scene.look()) == {"north": "online"}


def test_a_store_of_a_newer_program_is_left_alone(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.enrol()
    newer = open_store(str(scene.place))
    with newer.write() as connection:
        connection.execute(text("UPDATE fedinterest_schema SET version_num = '9999'"))
    for _ in range(2):
        scene.watch.look()
    assert recorded(newer) == []
    assert caplog.text.count("a newer one has written it") == 1
    newer.close()


def test_records_that_cannot_be_read_are_told_once(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.enrol()
    whole = scene.setting.store.path.read_bytes()
    scene.setting.store.path.write_bytes(b"damaged" * 1000)
    for _ in range(2):
        scene.watch.look()
    assert caplog.text.count("file is not a database") == 1
    assert not scene.place.exists()
    scene.setting.store.path.write_bytes(whole)
    assert states(scene.look()) == {"north": "never seen"}


def test_what_was_not_foreseen_is_told_with_its_place_and_tried_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scene.enrol()

    def bug(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(heartbeats, "heartbeats_of", bug)
        for _ in range(2):
            scene.watch.look()
    assert caplog.text.count(STAYS) == 1
    assert "in bug" in caplog.text
    assert states(scene.look()) == {"north": "never seen"}


def test_another_trouble_is_told_too(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.enrol()
    scene.superlink.is_up = False
    scene.watch.look()
    scene.superlink.is_up = True
    scene.place.parent.touch()
    scene.watch.look()
    assert caplog.text.count(STAYS) == 2
