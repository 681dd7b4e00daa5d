"""What a client sends back: an answer from its door, and never a word about its data."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict

from client.answering import answer
from client.app import SIMULATION, answer_question, app, settings_path
from client.errors import ClientError, SettingsError
from client.region import Region
from privacy.policy import read_policy
from privacy.query import NoiseKind, TrustModel
from privacy.release import LEDGER_UNUSABLE, Answer, ClippedSum, Refusal, Release
from privacy.signed_head import Witness
from privacy.signing import SigningKey
from simulations.in_process_grid import FIRST_NODE_ID, InProcessGrid
from strategies.cluster_map import ClusterMap
from strategies.heads import HeadBook
from strategies.item_space import ItemSpace
from strategies.messages import records_to_answer, request_to_records
from strategies.questions import (
    CellSums,
    ItemWeights,
    ListVotes,
    MapQuality,
    Question,
    Request,
    SecondMoments,
)
from strategies.reply_faults import UNREADABLE_REQUEST, fault_of
from strategies.taste import Taste
from tests.client.examples import (
    LETTERS,
    PEOPLE,
    SHOP,
    a_map,
    a_region,
    a_request,
    cell_sums,
    push_back,
    region_map,
    write_settings,
)
from tests.strategies.examples import a_key, distance_histogram

SECRET = "anna bought milk"


def context(**node_config: Any) -> Context:
    return Context(run_id=1, node_id=1, node_config=node_config, state=RecordDict(), run_config={})


def at(folder: Path) -> Context:
    return context(**{"agent-settings": str(folder / "agent.toml")})


def send(
    region_folder: Path, records: RecordDict, kind: str = "train", **run_config: Any
) -> Message:
    """Send records to the ClientApp as Flower does, with a run's config; return its reply."""
    grid = InProcessGrid(app, [{"agent-settings": str(region_folder / "agent.toml")}])
    grid.contexts[FIRST_NODE_ID].run_config.update(run_config)
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


def test_after_a_failure_that_cost_nothing_the_same_request_can_be_answered(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("client.region.build_profiles", fail)
        refused(region, a_request(region))
    assert isinstance(answer(region, a_request(region)), Release)


def test_a_failure_among_the_users_stays_charged(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it fails can depend on data: asking until it does not must cost."""
    with monkeypatch.context() as patch:
        patch.setattr("client.answering.batches_of_contributions", fail)
        refusal = refused(region, a_request(region))
    assert (refusal.reason, refusal.is_genuine) == ("client-failed", True)
    assert refusal.sentence == "The client failed. Nothing was sent."
    (entry,) = region.door.ledger.entries()
    assert entry.state == "failed"
    spent = region.door.ledger.spent_epsilon()
    assert spent > 0
    assert refused(region, a_request(region)).reason == "already-charged"
    assert region.door.ledger.spent_epsilon() == spent
    assert isinstance(answer(region, a_request(region, round_number=2)), Release)


def test_a_failure_among_the_users_tells_the_server_nothing_over_the_wire(
    region: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client.answering.batches_of_contributions", fail)
    received = records_to_answer(send(tmp_path, request_to_records(a_request(region))).content)
    assert isinstance(received, Refusal)
    assert (received.reason, received.is_genuine) == ("client-failed", True)
    assert SECRET not in str(received)
    assert all(SECRET.encode() not in path.read_bytes() for path in tmp_path.glob("ledger.*"))


def test_an_impossible_question_is_no_request(region: Region) -> None:
    with pytest.raises(ValueError, match="clipping norm -1"):
        a_request(region, replace(cell_sums(), radius=-1.0))


OPTIONS = np.array([[8, 0.3, 0.3, 0, 1], [20, 0.3, 0.3, 0, 1]], np.float32)
MISFITS: dict[str, Question] = {
    "cell-sums": cell_sums(width=9),
    "distance-histogram": distance_histogram(np.ones((2, 9), np.float32)),
    "second-moments": SecondMoments(
        origin=np.zeros(9, np.float32), basis=np.zeros((9, 0), np.float32), radius=0.5
    ),
    "item-weights": ItemWeights(
        centroids=np.ones((2, 9), np.float32),
        n_items=len(SHOP),
        recent_days=60.0,
        saturation=10.0,
        cluster_weight=0.6,
    ),
    "map-quality": MapQuality(
        cluster_map=a_map(np.ones((2, 9)), catalogue="?", encoder="?"), largest_distance=2.0
    ),
    "list-votes": ListVotes(
        cluster_map=a_map(np.ones((2, 9)), catalogue="?", encoder="?"), options=OPTIONS
    ),
}


def about(region: Region, question: Question) -> Question:
    """Return a question about the region's own catalogue and encoder, as it says."""
    if not isinstance(question, MapQuality | ListVotes):
        return question
    told: dict[str, Any] = {
        "catalogue": region.catalogue.fingerprint(),
        "encoder": region.encoder.fingerprint,
    }
    return replace(question, cluster_map=replace(question.cluster_map, **told))


@pytest.mark.usefixtures("fake_encoder")
@pytest.mark.parametrize("kind", MISFITS)
def test_vectors_of_another_length_are_refused_whether_or_not_there_are_users(
    tmp_path: Path, kind: str
) -> None:
    """Where nobody is, nothing would clash: an empty region would be told from any other."""
    answers = {"questions": list(MISFITS)}
    found = []
    for name, people in (("nobody", []), ("some", PEOPLE)):
        region = a_region(tmp_path / name, people=people, policy={"answers": answers})
        refusal = refused(region, a_request(region, about(region, MISFITS[kind])))
        assert region.door.ledger.entries() == []
        found.append((refusal.reason, refusal.sentence))
    assert found[0] == found[1]
    assert found[0][0] == "another-encoder"


def in_taste(n_items: int, dim: int) -> CellSums:
    """Ask for the mean in a space of texts and one direction of taste over all items."""
    one = np.ones(n_items, np.float32)
    taste = Taste(
        weights=one, directions=one[:, None] / np.float32(n_items**0.5), strengths=one[:1]
    )
    return replace(cell_sums(dim), space=ItemSpace(share=0.5, taste=taste))


@pytest.mark.usefixtures("fake_encoder")
@pytest.mark.parametrize(
    ("n_items", "dim", "reason"),
    [
        (len(SHOP), len(LETTERS) + 2, "another-encoder"),
        (len(SHOP), len(LETTERS), "another-encoder"),
        (len(SHOP) + 1, len(LETTERS) + 1, "another-catalogue"),
        (len(SHOP), len(LETTERS) + 1, None),
    ],
)
def test_a_space_of_other_items_or_vectors_is_refused(
    tmp_path: Path, n_items: int, dim: int, reason: str | None
) -> None:
    region = a_region(tmp_path)
    reply = answer(region, a_request(region, in_taste(n_items, dim)))
    assert (reply.reason if isinstance(reply, Refusal) else None) == reason
    assert len(region.door.ledger.entries()) == (reason is None)


@pytest.mark.usefixtures("fake_encoder")
@pytest.mark.parametrize("kind", ["item-weights", "map-quality", "list-votes"])
def test_a_catalogue_of_another_length_is_refused(tmp_path: Path, kind: str) -> None:
    region = a_region(tmp_path, policy={"answers": {"questions": list(MISFITS)}})
    question: Question = about(
        region,
        MapQuality(
            cluster_map=a_map(np.eye(2, 4), n_items=99, catalogue="?", encoder="?"),
            largest_distance=2.0,
        ),
    )
    if kind == "list-votes":
        other = a_map(np.eye(2, 4), n_items=99, catalogue="?", encoder="?")
        question = about(region, ListVotes(cluster_map=other, options=OPTIONS))
    if kind == "item-weights":
        question = ItemWeights(
            centroids=np.eye(2, 4, dtype=np.float32),
            n_items=99,
            recent_days=60.0,
            saturation=10.0,
            cluster_weight=0.6,
        )
    assert refused(region, a_request(region, question)).reason == "another-catalogue"
    assert not region.settings.cluster_map.exists()


@pytest.mark.usefixtures("fake_encoder")
def test_a_draft_to_vote_on_is_not_kept(tmp_path: Path) -> None:
    region = a_region(tmp_path, policy={"answers": {"questions": list(MISFITS)}})
    draft = ListVotes(cluster_map=region_map(region), options=OPTIONS)
    assert isinstance(answer(region, a_request(region, draft)), Release)
    assert not region.settings.cluster_map.exists()
    another = replace(draft, cluster_map=region_map(region, catalogue="?"))
    refusal = answer(region, a_request(region, another, round_number=2))
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "another-catalogue"


def labels_at(region: Region) -> list[str]:
    return ClusterMap.load(region.settings.cluster_map).labels


def test_an_old_push_that_comes_again_does_not_bring_its_map_back(region: Region) -> None:
    old, new = (
        a_request(region, push_back(region, labels=[name, name]), round_number=number)
        for number, name in ((1, "old"), (2, "new"))
    )
    first = answer(region, old)
    assert labels_at(region) == ["old", "old"]
    answer(region, new)
    again = answer(region, old)
    assert again.to_bytes() == first.to_bytes()
    assert labels_at(region) == ["new", "new"]


def test_a_push_whose_map_was_lost_in_a_crash_is_kept_when_it_comes_again(region: Region) -> None:
    push = a_request(region, push_back(region))
    answer(region, push)
    region.settings.cluster_map.unlink()
    answer(region, push)
    assert region.settings.cluster_map.exists()


@pytest.mark.usefixtures("fake_encoder")
def test_an_old_push_that_was_not_paid_for_does_not_come_back_either(tmp_path: Path) -> None:
    region = a_region(tmp_path, policy={"budget": {"epsilon": 0.01}})
    old, new = (
        a_request(region, push_back(region, labels=[name, name]), round_number=number)
        for number, name in ((1, "old"), (2, "new"))
    )
    for push in (old, new, old):
        assert isinstance(answer(region, push), Refusal)
    assert labels_at(region) == ["new", "new"]


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
    region = a_region(tmp_path, policy={"budget": {"epsilon": 0.1}})
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
    region = a_region(tmp_path, policy={"answers": {"questions": ["cell-sums"]}})
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
        with pytest.raises(ClientError, match=r"^UnreadableRequestError$"):
            answer_question(Message(records, 1, "train"), at(tmp_path))
        assert send(tmp_path, records).error.reason == UNREADABLE_REQUEST
    assert not (tmp_path / "ledger.sqlite").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "format 2, this program reads format 3"),
        ({"kind": "mind-reading"}, "no question of kind 'mind-reading'"),
        ({"question.novelty": 1.0}, "novelty"),
        ({"question.map.novelty": 1.0}, "novelty"),
        ({"question.no\x1b[2Jvelty": 1.0}, "no?[2Jvelty"),
    ],
)
def test_request_of_another_version_is_explained_to_the_region(
    region: Region,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    change: dict[str, float | str],
    words: str,
) -> None:
    records = request_to_records(a_request(region, push_back(region)))
    for key, value in change.items():
        records.config_records["request"][key] = value
    reply = send(tmp_path, records)
    assert fault_of(reply.error).reason == "request-unreadable"
    assert words in caplog.text
    assert "install the release" in caplog.text
    assert "Traceback" not in caplog.text
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


def answered(folder: Path, records: RecordDict, **run_config: Any) -> Answer:
    return records_to_answer(send(folder, records, **run_config).content)


def test_what_a_client_says_is_signed_with_its_ledgers_key(region: Region, tmp_path: Path) -> None:
    key = region.door.ledger.public_key
    for question in (cell_sums(), cell_sums(), replace(cell_sums(), radius=0.5)):
        found = answered(tmp_path, request_to_records(a_request(region, question)))
        assert found.is_genuine
        assert found.head is not None
        assert (found.head.region, found.head.public_key) == ("north", key)


@pytest.mark.usefixtures("fake_encoder")
def test_key_and_witness_lie_where_the_settings_say(tmp_path: Path) -> None:
    places = {"signing-key": "keys/agent.key", "witness": "far/witness.jsonl"}
    region = a_region(tmp_path / "agent", settings=places)
    found = answer(region, a_request(region))
    assert found.head is not None
    assert found.head.public_key == SigningKey.load(tmp_path / "agent/keys/agent.key").public
    assert Witness(tmp_path / "agent/far/witness.jsonl").heads()[-1] == found.head
    assert not (tmp_path / "agent" / "ledger.key").exists()


@pytest.mark.usefixtures("fake_encoder")
def test_a_region_that_knows_its_server_answers_no_other(tmp_path: Path) -> None:
    server = a_key("server")
    region = a_region(tmp_path, policy={"trusted": {"server-keys": [server.public]}})
    request = a_request(region)
    for other in (request, request.signed(a_key("impostor"))):
        assert refused(region, other).reason == "server-not-trusted"
    assert region.door.ledger.entries() == []
    found = answered(tmp_path, request_to_records(request.signed(server, expires=4_000_000_000)))
    assert isinstance(found, Release)


def spoil(ledger: Path) -> None:
    ledger.write_bytes(b"no ledger" * 1000)


def lose(ledger: Path) -> None:
    ledger.unlink()


def hand_in_a_copy(ledger: Path) -> None:
    copy = ledger.with_suffix(".copy")
    shutil.copy(ledger, copy)
    copy.replace(ledger)


def rewrite(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger, isolation_level=None)) as database:
        database.execute("DROP TRIGGER records_are_not_changed")
        database.execute("UPDATE records SET content = replace(content, '5.0', '50.0')")


@pytest.mark.parametrize(
    "harm", [spoil, lose, hand_in_a_copy, rewrite], ids=lambda harm: harm.__name__
)
def test_a_damaged_ledger_is_told_and_why_is_known_at_home_only(
    region: Region,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    harm: Callable[[Path], None],
) -> None:
    answer(region, a_request(region))
    ledger = tmp_path / "ledger.sqlite"
    harm(ledger)
    found = answered(tmp_path, request_to_records(a_request(region, round_number=2)))
    assert isinstance(found, Refusal)
    assert found.reason == LEDGER_UNUSABLE
    assert found.sentence == "The ledger of north cannot be used. Nothing was sent."
    assert (found.head, found.signature) == (None, "")
    assert HeadBook().objection(found) is None
    assert str(ledger) in caplog.text


def test_a_request_that_is_misunderstood_has_the_same_answer_from_a_damaged_ledger(
    region: Region, tmp_path: Path
) -> None:
    answer(region, a_request(region))
    spoil(tmp_path / "ledger.sqlite")
    assert refused(region, a_request(region, encoder="another")).reason == LEDGER_UNUSABLE


EVERYTHING: dict[str, Any] = {
    "agent-settings": "/elsewhere/agent.toml",
    "policy": "/elsewhere/policy.toml",
    "noise": "float",
    "simulation.noise-seed": 2,
    "privacy.epsilon": 1e6,
    "budget.epsilon": 1e6,
    "budget.lifetime-epsilon": 1e6,
    "window.days": 1,
    "answers.questions": "cell-sums",
    "answers.noise-kinds": "seeded",
    "answers.least-noise-multiplier": 0.1,
    "answers.fewest-participants": 1,
    "trusted.server-keys": "",
}
"""What a server might wish that a client would read in a run's config."""


@pytest.mark.usefixtures("fake_encoder")
@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"budget": {"epsilon": 0.1}}, "budget-exhausted"),
        ({"answers": {"noise-kinds": ["discrete"]}}, "noise-kind-not-allowed"),
        ({"answers": {"questions": ["map-quality"]}}, "question-not-allowed"),
        ({"answers": {"least-noise-multiplier": 9.0}}, "too-little-noise"),
        ({"answers": {"fewest-participants": 2}}, "too-few-participants"),
        ({"trusted": {"server-keys": [a_key("server").public]}}, "server-not-trusted"),
        ({"window": {"start": datetime(2018, 1, 1, tzinfo=UTC)}}, "window-not-begun"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_config_of_a_run_overrides_a_rule(
    tmp_path: Path, rules: Mapping[str, Any], reason: str
) -> None:
    region = a_region(tmp_path, policy=rules)
    found = answered(tmp_path, request_to_records(a_request(region)), **EVERYTHING)
    assert isinstance(found, Refusal)
    assert found.reason == reason
    assert region.door.ledger.entries() == []


def test_a_config_of_a_run_changes_nothing_of_an_answer(region: Region, tmp_path: Path) -> None:
    found = answered(tmp_path, request_to_records(a_request(region)), **EVERYTHING)
    assert isinstance(found, Release)
    assert (found.noise, found.window) == (NoiseKind.SEEDED, "2017-01-01/2018-01-01")
    again = answer(a_region(tmp_path / "twin"), a_request(region))
    assert isinstance(again, Release)
    for name, array in again.sums.items():  # by the same seed
        np.testing.assert_array_equal(found.sums[name], array)
    (entry,) = region.door.ledger.entries()
    assert entry.policy == read_policy(tmp_path / "policy.toml").digest()


@pytest.mark.usefixtures("fake_encoder")
def test_no_request_overrides_a_rule(tmp_path: Path) -> None:
    region = a_region(tmp_path, policy={"budget": {"epsilon": 0.1}})
    records = request_to_records(a_request(region))
    records.config_records["request"].update(EVERYTHING)
    records["policy"] = ConfigRecord(EVERYTHING)
    found = answered(tmp_path, records)
    assert isinstance(found, Refusal)
    assert found.reason == "budget-exhausted"


@pytest.mark.usefixtures("fake_encoder")
@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"noise": "discrete", "simulation": {}}, NoiseKind.DISCRETE),
        ({"noise": "float", "simulation": {}}, NoiseKind.FLOAT),
        ({}, NoiseKind.SEEDED),
    ],
)
def test_the_noise_is_the_kind_that_the_settings_say(
    tmp_path: Path, settings: Mapping[str, object], kind: NoiseKind
) -> None:
    rules = {"answers": {"noise-kinds": [kind.value]}}
    region = a_region(tmp_path, policy=rules, settings=settings)
    found = answer(region, a_request(region))
    assert isinstance(found, Release)
    assert found.noise is kind
    (entry,) = region.door.ledger.entries()
    assert (entry.noise, entry.step > 0) == (kind, kind is NoiseKind.DISCRETE)


@pytest.mark.usefixtures("fake_encoder")
@pytest.mark.parametrize(("events", "users"), [("all", 2), ("window", 1)])
def test_an_answer_is_made_of_the_events_that_the_policy_allows(
    tmp_path: Path, events: str, users: int
) -> None:
    """Bert bought nothing in November."""
    rules = {
        "window": {"start": datetime(2017, 11, 1, tzinfo=UTC), "days": 60, "events": events},
        "answers": {"trust-models": ["central"]},
    }
    region = a_region(tmp_path, policy=rules)
    request = a_request(region, trust_model=TrustModel.CENTRAL)
    found = answer(region, request)
    assert isinstance(found, ClippedSum)
    one = 0.5 / request.query().step
    # Opacus shortens a row by a millionth more than it must.
    assert found.sums["counts"].item() == pytest.approx(users * one, rel=1e-5)
    assert found.window == "2017-11-01/2017-12-31"
