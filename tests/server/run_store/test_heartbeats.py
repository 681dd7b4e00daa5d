"""What the server saw of regions' agents is kept, a row for each, and not believed for long."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.run_store.errors import StoreAwayError
from server.run_store.heartbeats import (
    NEVER_SEEN,
    NOT_REGISTERED,
    OFFLINE,
    ONLINE,
    REVOKED,
    Heartbeat,
    record_heartbeats,
)
from server.run_store.opening import Store, open_store
from server.run_store.reading_regions import heartbeats
from server.run_store.region_records import UNSEEN_AFTER

NOW = datetime(2026, 3, 4, 5, 6, 7, 891234, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def a_beat(region: str = "north", **different: object) -> Heartbeat:
    beat = Heartbeat(
        region=region,
        node_id="18446744073709551615",  # more than a database's integers hold
        state=ONLINE,
        last_heartbeat=NOW - 20 * SECOND,
        since=NOW - timedelta(days=2),
        version="0.1.0",
        flower="1.41.0",
        told=NOW - timedelta(days=30),
    )
    return replace(beat, **different)  # type: ignore[arg-type]


def heard(store: Store, region: str = "north") -> datetime | None:
    (found,) = heartbeats(store, region)
    return found.last_heartbeat


def test_what_was_seen_is_read_as_it_was(store: Store) -> None:
    quiet = a_beat("east", state=NEVER_SEEN, last_heartbeat=None, since=None)
    record_heartbeats(store, [a_beat(), quiet], NOW)
    assert [one.region for one in heartbeats(store)] == ["east", "north"]
    for beat, found in zip([quiet, a_beat()], heartbeats(store), strict=True):
        assert {**asdict(beat), "observed": NOW} == asdict(found)
    assert heartbeats(store, "north") == heartbeats(store)[1:]
    assert heartbeats(store, "nowhere") == []


def test_a_store_without_agents_has_none(store: Store) -> None:
    assert heartbeats(store) == []


def test_each_look_replaces_the_one_before_and_regions_that_are_gone_age(store: Store) -> None:
    record_heartbeats(store, [a_beat(), a_beat("east")], NOW)
    later = NOW + MINUTE
    record_heartbeats(store, [a_beat(state=OFFLINE, since=later)], later)
    east, north = heartbeats(store)
    assert (north.state, north.since, north.observed) == (OFFLINE, later, later)
    assert (east.state, east.observed) == (ONLINE, NOW)


@pytest.mark.parametrize("state", [ONLINE, OFFLINE, NEVER_SEEN, NOT_REGISTERED, REVOKED])
def test_what_nobody_looked_at_for_minutes_is_unknown(store: Store, state: str) -> None:
    record_heartbeats(store, [a_beat(state=state)], NOW)
    (found,) = heartbeats(store)
    assert found.state_at(NOW) == state
    assert found.state_at(NOW + UNSEEN_AFTER) == state
    assert found.state_at(NOW + UNSEEN_AFTER + SECOND) == "unknown"
    assert found.state_at(NOW - MINUTE) == state  # the reader's clock is behind


def test_another_node_of_a_region_takes_the_place_of_its_first_one(store: Store) -> None:
    record_heartbeats(store, [a_beat(state=REVOKED)], NOW)
    record_heartbeats(
        store, [a_beat(node_id="7", state=NEVER_SEEN, last_heartbeat=None)], NOW + MINUTE
    )
    (found,) = heartbeats(store)
    assert (found.node_id, found.state, found.last_heartbeat) == ("7", NEVER_SEEN, None)


def test_a_heartbeat_that_was_heard_is_not_told_earlier_afterwards(store: Store) -> None:
    record_heartbeats(store, [a_beat()], NOW)
    gone = a_beat(state=OFFLINE, last_heartbeat=NOW - MINUTE)
    record_heartbeats(store, [gone], NOW + SECOND)
    assert heard(store) == NOW - 20 * SECOND
    record_heartbeats(store, [a_beat(last_heartbeat=NOW + MINUTE)], NOW + MINUTE)
    assert heard(store) == NOW + MINUTE


def test_a_clock_that_was_put_back_leaves_no_heartbeat_in_the_future(store: Store) -> None:
    record_heartbeats(store, [a_beat()], NOW)
    before = NOW - timedelta(hours=1)
    record_heartbeats(store, [a_beat(last_heartbeat=before - SECOND)], before)
    (found,) = heartbeats(store)
    assert (found.last_heartbeat, found.observed) == (before - SECOND, before)


@pytest.mark.parametrize(
    "name", ["<b>", "na\0me", "\ud800", "x" * 5000, "北", "' OR 1=1 --"], ids=range(6)
)
def test_whatever_a_region_is_called_it_is_found_again(store: Store, name: str) -> None:
    for number in range(2):
        record_heartbeats(store, [a_beat(name), a_beat("other")], NOW + number * SECOND)
    assert len(heartbeats(store)) == 2
    assert len(heartbeats(store, name)) == 1


def test_a_time_without_a_zone_is_refused_and_nothing_is_written(store: Store) -> None:
    with pytest.raises(StoreAwayError, match="has no time zone"):
        record_heartbeats(store, [a_beat(told=datetime(2026, 1, 1))], NOW)
    assert heartbeats(store) == []


def test_a_store_that_another_program_holds_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = open_store(str(path), busy_seconds=0.2)
    record_heartbeats(store, [a_beat()], NOW)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    with pytest.raises(StoreAwayError, match="database is locked"):
        record_heartbeats(store, [a_beat(state=OFFLINE)], NOW + MINUTE)
    assert time.monotonic() - begun < 5
    record_heartbeats(store, [], NOW)  # nothing to write: nobody is waited for
    assert [one.state for one in heartbeats(store)] == [ONLINE]
    other.close()
    record_heartbeats(store, [a_beat(state=OFFLINE)], NOW + MINUTE)
    assert [one.state for one in heartbeats(store)] == [OFFLINE]


def test_a_full_disk_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    """In a process that may not write larger files: limits cannot be lifted again in this one."""
    program = (
        "import resource, sys\n"
        "from datetime import UTC, datetime, timedelta\n"
        "from server.run_store.errors import StoreAwayError\n"
        "from server.run_store.heartbeats import Heartbeat, record_heartbeats\n"
        "from server.run_store.opening import open_store\n"
        "now = datetime(2026, 3, 4, tzinfo=UTC)\n"
        "store = open_store(sys.argv[1])\n"
        "many = [\n"
        "    Heartbeat(region=f'region-{number}', node_id='1', state='online', since=now,\n"
        "              told=now, last_heartbeat=now, version='0.1.0', flower='1.41.0')\n"
        "    for number in range(500)\n"
        "]\n"
        "record_heartbeats(store, many[:1], now)\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))\n"
        "try:\n"
        "    record_heartbeats(store, many, now + timedelta(minutes=1))\n"
        "except StoreAwayError as error:\n"
        "    print(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "record_heartbeats(store, many[:2], now + timedelta(minutes=2))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "store.sqlite")]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, cwd=Path.cwd()
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "cannot be written (" in ended.stdout
    found = heartbeats(open_store(str(tmp_path / "store.sqlite")))
    assert [one.region for one in found] == ["region-0", "region-1"]  # none of the 500
