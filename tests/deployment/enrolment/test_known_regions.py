from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployment.enrolment.errors import KnownRegionsWriteError
from deployment.enrolment.known_regions import write_known_regions
from deployment.enrolment.store import EnrolmentStore
from privacy.signing import SigningKey
from server.known_regions import KnownRegionsError, read_known_regions
from tests.deployment.enrolment.examples import NOON, Setting, an_agent


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SigningKey]:
    """A record of two regions, one with a name in another script."""
    setting = Setting(tmp_path_factory.mktemp("server"))
    for i, region in enumerate(("north", "华东")):
        setting.ask(an_agent(region), setting.token(region))
        with setting.store.writing() as db:
            db.execute(
                "UPDATE enrolments SET state = 'approved', node_id = ?, approved_at = ? "
                "WHERE region = ?",
                (str(2**64 - 1 - i), "2026-11-26T12:00:00.000+00:00", region),
            )
    key = SigningKey.create(setting.folder / "server.key")
    path = setting.folder / "known-regions.json"
    write_known_regions(path, setting.store, key, NOON)
    return path, key


def test_it_is_read_back_with_the_keys_that_regions_enrolled_with(
    written: tuple[Path, SigningKey],
) -> None:
    path, key = written
    known = read_known_regions(path, key.public)
    assert sorted(known.regions) == ["north", "华东"]
    assert known.regions["north"].node_id == str(2**64 - 1)
    assert known.sequence == 2
    store = EnrolmentStore(path.with_name("enrolment.sqlite"))
    with store.reading() as db:
        for row in db.execute("SELECT region, ledger_key FROM enrolments"):
            assert known.regions[row["region"]].ledger_key == row["ledger_key"]


def test_another_servers_record_is_refused(written: tuple[Path, SigningKey]) -> None:
    path, _ = written
    with pytest.raises(KnownRegionsError, match="this server's is 0000"):
        read_known_regions(path, "0" * 64)


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_change_passes(written: tuple[Path, SigningKey], data: st.DataObject) -> None:
    """But for changes that mean the same, such as white space."""
    path, key = written
    whole = path.read_bytes()
    known = read_known_regions(path, key.public)
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    other = path.with_name("changed.json")
    other.write_bytes(changed)
    try:
        read = read_known_regions(other, key.public)
    except KnownRegionsError:
        return
    assert read == known


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["regions"].pop("north"),
        lambda content: content["regions"].update(south=content["regions"]["north"]),
        lambda content: content["regions"]["north"].update({"ledger-key": "0" * 64}),
        lambda content: content["regions"]["north"].update({"node-id": "5"}),
        lambda content: content.update(sequence=3),
        lambda content: content.update(made="2027-11-26T12:00:00.000+00:00"),
        lambda content: content.update(signature=""),
        lambda content: content.update(extra=1),
        lambda content: content.update(format=2),
        lambda content: content.pop("server-key"),
    ],
)
def test_no_field_can_be_changed(written: tuple[Path, SigningKey], change: object) -> None:
    path, key = written
    content = json.loads(path.read_text())
    assert callable(change)
    change(content)
    other = path.with_name("field.json")
    other.write_text(json.dumps(content))
    with pytest.raises(KnownRegionsError, match="No region is known from it"):
        read_known_regions(other, key.public)


@pytest.mark.parametrize("content", [b"", b"{}", b"NaN", b"\xff", b"[" * 100_000, b"null"])
def test_what_is_no_record_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "known-regions.json"
    path.write_bytes(content)
    with pytest.raises(KnownRegionsError, match="is no record of known regions"):
        read_known_regions(path, "0" * 64)


def test_doubled_keys_are_refused(written: tuple[Path, SigningKey]) -> None:
    path, key = written
    doubled = path.with_name("doubled.json")
    doubled.write_text(path.read_text().replace('"format": 1,', '"format": 1, "format": 1,'))
    with pytest.raises(KnownRegionsError, match="is no record of known regions"):
        read_known_regions(doubled, key.public)


def test_a_write_that_fails_leaves_the_record_from_before(
    written: tuple[Path, SigningKey],
) -> None:
    path, key = written
    before = path.read_bytes()
    store = EnrolmentStore(path.with_name("enrolment.sqlite"))
    blocking = path.with_name(path.name + ".new")
    blocking.mkdir()
    try:
        with pytest.raises(KnownRegionsWriteError, match="the one from before"):
            write_known_regions(path, store, key, NOON)
    finally:
        blocking.rmdir()
    assert path.read_bytes() == before
