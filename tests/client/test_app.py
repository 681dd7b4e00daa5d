"""What a client sends back: an answer from its door, and never a word about its data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict

from client.app import SIMULATION, answer, answer_question, app, settings_path
from client.errors import ClientError, SettingsError
from client.region import Region
from privacy.release import Refusal, Release
from simulations.in_process_grid import FIRST_NODE_ID, InProcessGrid
from strategies.cluster_map import ClusterMap
from strategies.messages import records_to_answer, request_to_records
from strategies.questions import Request
from tests.client.examples import a_region, a_request, cell_sums, push_back, write_settings

SECRET = "anna bought milk"


def context(**node_config: Any) -> Context:
    return Context(run_id=1, node_id=1, node_config=node_config, state=RecordDict(), run_config={})


def at(folder: Path) -> Context:
    return context(**{"agent-settings": str(folder / "agent.toml")})


def send(region_folder: Path, records: RecordDict, kind: str = "train") -> Message:
    """Send records to the ClientApp as Flower does; return its reply."""
    grid = InProcessGrid(app, [{"agent-settings": str(region_folder / "agent.toml")}])
    (reply,) = grid.send_and_receive([Message(records, FIRST_NODE_ID, kind)])
    return reply


def fail(*_: object, **__: object) -> NoReturn:
    raise ValueError(SECRET)


def refused(region: Region, request: Request) -> Refusal:
    found = answer(region, request)
    assert isinstance(found, Refusal)
    assert (found.region, found.run, found.round_number) == ("north", "run-1", 1)
    return found


def test_a_request_is_answered_with_a_release_over_the_wire(region: Region, tmp_path: Path) -> None:
    reply = send(tmp_path, request_to_records(a_request(region)))
    release = records_to_answer(reply.content)
    assert isinstance(release, Release)
    assert {name: array.shape for name, array in release.sums.items()} == {
        "sums": (1, 4),
        "counts": (1, 1),
    }
    assert len(region.door.ledger.entries()) == 1


@pytest.mark.usefixtures("fake_encoder")
def test_a_region_without_users_answers_with_noise(tmp_path: Path) -> None:
    region = a_region(tmp_path, people=[])
    assert isinstance(answer(region, a_request(region)), Release)


@pytest.mark.parametrize("about", ["encoder", "catalogue"])
def test_a_question_in_another_space_is_refused_recorded_and_free(
    region: Region, about: str
) -> None:
    refusal = refused(region, a_request(region, cell_sums(), **{about: "another"}))
    assert refusal.reason == f"another-{about}"
    (recorded,) = region.door.ledger.refusals()
    assert (recorded.reason, recorded.sentence) == (refusal.reason, refusal.sentence)
    assert region.door.ledger.entries() == []


def test_the_server_learns_of_a_failure_only_its_type(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client.region.build_profiles", fail)
    refusal = refused(region, a_request(region))
    assert refusal.reason == "client-failed"
    assert refusal.sentence == "The client failed. Nothing was sent."
    assert SECRET not in str(refusal)
    assert region.door.ledger.entries() == []


def test_events_that_cannot_be_read_tell_the_server_nothing(region: Region, tmp_path: Path) -> None:
    region.settings.events.write_text("who,what\nanna,milk\n")
    refusal = refused(region, a_request(region))
    assert refusal.sentence == "The client failed. Nothing was sent."
    assert str(tmp_path) not in str(refusal)


def test_after_a_failure_the_same_request_can_be_answered(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("client.app.contributions_to", fail)
        refused(region, a_request(region))
    assert isinstance(answer(region, a_request(region)), Release)


def test_an_impossible_question_is_no_request(region: Region) -> None:
    with pytest.raises(ValueError, match="clipping norm -1"):
        a_request(region, replace(cell_sums(), radius=-1.0))


def test_a_question_that_does_not_fit_is_a_failure_that_costs_nothing(region: Region) -> None:
    misfit = cell_sums(width=9)
    assert refused(region, a_request(region, misfit)).reason == "client-failed"
    assert region.door.ledger.entries() == []


def test_the_pushed_back_map_is_kept(region: Region, tmp_path: Path) -> None:
    question = push_back(region)
    reply = send(tmp_path, request_to_records(a_request(region, question)), kind="evaluate")
    assert isinstance(records_to_answer(reply.content), Release)
    kept = ClusterMap.load(region.settings.cluster_map)
    assert (kept.run, kept.labels) == (question.cluster_map.run, question.cluster_map.labels)
    np.testing.assert_array_equal(kept.centroids, question.cluster_map.centroids)
    np.testing.assert_array_equal(kept.item_weights, question.cluster_map.item_weights)


@pytest.mark.usefixtures("fake_encoder")
def test_the_map_is_kept_although_its_quality_is_beyond_the_budget(tmp_path: Path) -> None:
    """The map is made of releases that were paid for; only the last question is not."""
    region = a_region(tmp_path, policy={"epsilon": 0.1})
    assert refused(region, a_request(region, push_back(region))).reason == "budget-exhausted"
    assert region.settings.cluster_map.exists()


@pytest.mark.parametrize("about", ["encoder", "catalogue"])
def test_a_map_for_another_encoder_or_catalogue_is_not_kept(region: Region, about: str) -> None:
    refused(region, a_request(region, push_back(region), **{about: "another"}))
    assert not region.settings.cluster_map.exists()


@pytest.mark.parametrize("about", ["encoder", "catalogue"])
def test_a_map_that_contradicts_its_request_is_not_kept(region: Region, about: str) -> None:
    question = push_back(region, **{about: "another"})
    assert isinstance(answer(region, a_request(region, question)), Refusal)
    assert not region.settings.cluster_map.exists()


@pytest.mark.usefixtures("fake_encoder")
def test_a_map_that_the_policy_does_not_allow_is_not_kept(tmp_path: Path) -> None:
    region = a_region(tmp_path, policy={"question-kinds": ["cell-sums"]})
    assert refused(region, a_request(region, push_back(region))).reason == "question-not-allowed"
    assert not region.settings.cluster_map.exists()


def test_a_second_map_in_an_answered_round_does_not_replace_the_first(region: Region) -> None:
    answer(region, a_request(region, push_back(region)))
    swapped = push_back(region, labels=["swapped", "swapped"])
    assert refused(region, a_request(region, swapped)).reason == "another-question-in-this-round"
    assert ClusterMap.load(region.settings.cluster_map).labels != ["swapped", "swapped"]


@pytest.mark.usefixtures("fake_encoder")
def test_a_map_that_cannot_be_written_charges_nothing_that_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    region = a_region(tmp_path, settings={"cluster-map": "file/cluster-map.npz"})
    found = answer(region, a_request(region, push_back(region)))
    assert isinstance(found, Release) == bool(region.door.ledger.entries())
    assert str(tmp_path) not in str(found)


def test_a_message_that_is_no_request_is_an_error(region: Region, tmp_path: Path) -> None:
    for records in (RecordDict(), RecordDict({"request": ConfigRecord({"run": "run-1"})})):
        with pytest.raises(ClientError, match=r"^MessageError$"):
            answer_question(Message(records, 1, "train"), at(tmp_path))
        assert send(tmp_path, records).error.reason == "ClientError"
    assert not (tmp_path / "ledger.sqlite").exists()


def test_broken_settings_tell_the_server_nothing_of_what_they_say(tmp_path: Path) -> None:
    """Flower sends the words of an exception to the server."""
    path = tmp_path / "agent.toml"
    path.write_text(f'region = 7\ncomment = "{SECRET}"\n')
    with pytest.raises(ClientError, match=r"^SettingsError$"):
        answer_question(Message(RecordDict(), 1, "train"), at(tmp_path))
    path.unlink()
    with pytest.raises(ClientError, match=r"^FileNotFoundError$"):
        answer_question(Message(RecordDict(), 1, "train"), at(tmp_path))


@pytest.mark.usefixtures("fake_encoder")
def test_changed_settings_are_read_before_the_next_answer(tmp_path: Path) -> None:
    region = a_region(tmp_path)
    request = request_to_records(a_request(region))
    assert isinstance(records_to_answer(send(tmp_path, request).content), Release)
    write_settings(tmp_path, region="south")
    reply = send(tmp_path, request)  # whose policy is still the north's
    assert reply.has_error()
    assert "south" not in str(reply.error.reason)


def test_settings_are_where_the_operator_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SIMULATION, str(tmp_path))
    config = {"agent-settings": "/etc/agent.toml", "partition-id": 0}
    assert settings_path(context(**config)) == Path("/etc/agent.toml")


def test_settings_of_a_simulated_client_are_in_the_simulations_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SIMULATION, str(tmp_path))
    found = settings_path(context(**{"partition-id": 2, "num-partitions": 8}))
    assert found == tmp_path / "regions" / "region-3" / "agent.toml"


@pytest.mark.parametrize("folder", ["", "/simulation"])
def test_a_client_that_does_not_know_its_settings_says_how_to_name_them(
    monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv(SIMULATION, folder)
    known = {} if folder else {"partition-id": 1}
    with pytest.raises(SettingsError, match=f"--node-config .*agent-settings.* set {SIMULATION}"):
        settings_path(context(**known))


def test_the_number_of_users_changes_neither_kind_nor_cost(
    tmp_path: Path, fake_encoder: None
) -> None:
    people = {
        "nobody": [],
        "one": [("anna", "milk", "2017-11-01T09:00:00Z")],
        "broken": [("anna", "caviar", "long ago")],
    }
    outcomes = set()
    for name, rows in people.items():
        region = a_region(tmp_path / name, people=rows)
        found = answer(region, a_request(region))
        outcomes.add((type(found), region.door.ledger.spent_epsilon()))
    assert len(outcomes) == 1
    assert pd.read_csv(tmp_path / "broken" / "rejected.csv").shape[0] == 1
