"""Whole runs that compare answers with the record of enrolled regions: who counts, and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from privacy.ledger_check import read_account
from privacy.server_record import HEADS, ServerRecord, read_server_record
from privacy.signing import SigningKey
from server.known_regions import KnownRegionsError
from strategies.federated_kmeans import StrategyError
from tests.server.resumable import SILOS, Scene
from tests.server.test_known_regions import write


@pytest.fixture(autouse=True)
def _quick_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the accountant that takes seconds."""
    monkeypatch.setattr("server.results.pld_epsilon", lambda events, **rules: 0.0)


class Enrolled:
    """A scene whose runs name the record of regions beside them."""

    def __init__(self, folder: Path) -> None:
        self.key = SigningKey.create(folder / "server.key")
        self.record = folder / "known-regions.json"
        self.scene = Scene(
            folder,
            run__signing_key=str(folder / "server.key"),
            run__known_regions=str(self.record),
        )
        self.keys = {
            name: silo.door.ledger.public_key
            for name, silo in zip(SILOS, self.scene.silos, strict=True)
        }

    def decide(self, sequence: int, *regions: str) -> None:
        write(self.record, self.key, sequence, **{name: self.keys[name] for name in regions})

    def told(self) -> ServerRecord:
        return read_server_record(self.scene.out / "ledgers" / HEADS)


@pytest.fixture
def enrolled(tmp_path: Path) -> Enrolled:
    return Enrolled(tmp_path)


def test_answers_of_enrolled_regions_make_the_run(enrolled: Enrolled) -> None:
    enrolled.decide(2, *SILOS)
    enrolled.scene.start()
    told = enrolled.told()
    assert {(one.answered, one.unusable) for one in told.rounds} == {(2, 0)}
    assert {head.region for head in told.heads} == set(SILOS)


def test_a_region_that_is_revoked_in_a_run_counts_from_the_next_question_on_no_longer(
    enrolled: Enrolled,
) -> None:
    enrolled.decide(2, *SILOS)

    def revoke(round_number: int) -> None:
        if round_number == 2:  # its answers to this question are there already
            enrolled.decide(3, "east")

    enrolled.scene.after_delivery = revoke
    enrolled.scene.start()
    told = enrolled.told()
    found = [(one.answered, one.unusable) for one in told.rounds]
    assert found[:2] == [(2, 0), (2, 0)]
    assert set(found[2:]) == {(1, 1)}
    heads = {head.region: head.sequence for head in told.heads}
    last = {name: read_account(enrolled.scene.out / "ledgers" / f"{name}.sqlite") for name in SILOS}
    assert heads["east"] == last["east"].sequence
    assert heads["west"] < last["west"].sequence  # what it said later was not looked at


def test_a_run_with_nobody_enrolled_learns_nothing(enrolled: Enrolled) -> None:
    enrolled.decide(4)
    with pytest.raises(StrategyError, match="No region answered phase 'mean'"):
        enrolled.scene.start()
    assert enrolled.told().heads == ()


def test_a_record_that_is_put_back_stops_the_run_and_it_goes_on_with_the_right_one(
    enrolled: Enrolled,
) -> None:
    enrolled.decide(3, *SILOS)

    def put_back(round_number: int) -> None:
        if round_number == 2:
            enrolled.decide(2, *SILOS)

    enrolled.scene.after_delivery = put_back
    with pytest.raises(KnownRegionsError, match="is older than it was"):
        enrolled.scene.start()
    assert enrolled.scene.checkpoint.exists()
    enrolled.decide(3, *SILOS)
    enrolled.scene.after_delivery = lambda round_number: None
    enrolled.scene.start(run="sample-2")
    assert not enrolled.scene.checkpoint.exists()
    assert {(one.answered, one.unusable) for one in enrolled.told().rounds} == {(2, 0)}
