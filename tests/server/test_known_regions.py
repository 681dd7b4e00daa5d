"""Which regions may answer a run: read anew, checked, and never older than before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from privacy.signing import SigningKey
from server.known_regions import KnownRegion, KnownRegionsError, RegionKeys, SignedRecord

MOMENT = "2026-11-26T12:00:00.000+00:00"


def write(path: Path, key: SigningKey, sequence: int, **regions: str) -> None:
    """Write the record of ``regions`` with their keys, as a server's decisions do."""
    made = SignedRecord(
        sequence=sequence,
        made=MOMENT,
        regions={
            name: KnownRegion(ledger_key=ledger_key, node_id="7", since=MOMENT)
            for name, ledger_key in regions.items()
        },
        server_key=key.public,
    )
    signed = made.model_copy(update={"signature": key.sign(made.signed_message())})
    path.write_text(json.dumps(signed.model_dump(by_alias=True)), encoding="ascii")


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return SigningKey.create(tmp_path / "server.key")


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "known-regions.json"


def test_a_decision_counts_when_the_keys_are_asked_for_next(record: Path, key: SigningKey) -> None:
    write(record, key, 1, north="a" * 64)
    keys = RegionKeys(record, key.public)
    write(record, key, 2, north="a" * 64, south="b" * 64)
    assert keys() == {"north": "a" * 64, "south": "b" * 64}
    write(record, key, 3, south="b" * 64)
    assert keys() == {"south": "b" * 64}
    assert keys() == {"south": "b" * 64}


def test_an_older_record_that_was_put_back_is_refused(record: Path, key: SigningKey) -> None:
    write(record, key, 3, south="b" * 64)
    keys = RegionKeys(record, key.public)
    write(record, key, 2, north="a" * 64, south="b" * 64)
    with pytest.raises(KnownRegionsError, match="decision 2, after decision 3"):
        keys()


def test_a_record_that_is_damaged_or_gone_lets_nobody_answer(record: Path, key: SigningKey) -> None:
    write(record, key, 1, north="a" * 64)
    keys = RegionKeys(record, key.public)
    record.write_text(record.read_text().replace("a" * 64, "c" * 64))
    with pytest.raises(KnownRegionsError, match="was changed after it was signed"):
        keys()
    record.unlink()
    with pytest.raises(KnownRegionsError, match="cannot be read"):
        keys()


def test_a_record_that_another_server_signed_is_refused(record: Path, key: SigningKey) -> None:
    write(record, key, 1, north="a" * 64)
    with pytest.raises(KnownRegionsError, match="names the server key"):
        RegionKeys(record, "0" * 64)
