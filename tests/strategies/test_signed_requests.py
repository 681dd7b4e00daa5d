"""Who asks, and that nobody on the way has changed the question: told at the region's door."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import RecordDict

from privacy.door import Contribute
from privacy.query import Contributions, TrustModel
from privacy.release import Answer, Refusal, Release
from privacy.signing import SigningKey
from privacy.window import Window
from strategies.messages import (
    MessageError,
    pack_arrays,
    records_to_request,
    request_to_records,
    unpack_arrays,
)
from strategies.questions import QUESTION_TYPES, CellSums, DistanceHistogram, Question, Request
from tests.privacy.examples import NOW, SetClock, a_door, forbidden, users
from tests.strategies.examples import a_key, distance_histogram
from tests.strategies.test_messages import QUESTIONS, over_the_wire, request

SERVER = a_key("server")
SOON, LATER = int(NOW.timestamp()) + 3600, int(NOW.timestamp()) + 90000
KINDS = [question.kind for question in QUESTIONS]


def nobody(request: Request) -> Contribute:
    """Answer for a region without users."""

    def contribute(window: Window) -> Mapping[str, Contributions]:
        return {block.name: users([], width=block.width) for block in request.question.blocks()}

    return contribute


def ask(folder: Path, received: Request, *, touched: bool = False, **rules: Any) -> Answer:
    """Ask at the door of a region that trusts the server, unless ``rules`` say otherwise."""
    trusted: dict[str, Any] = {"server_keys": {SERVER.public}} | rules
    door = a_door(folder, questions=set(QUESTION_TYPES), **trusted)
    return door.answer(received.query(), nobody(received) if touched else forbidden())


def reason(answer: Answer) -> str:
    assert isinstance(answer, Refusal)
    return answer.reason


@pytest.mark.parametrize("question", QUESTIONS, ids=KINDS)
def test_a_signed_request_is_answered_after_the_wire(tmp_path: Path, question: Question) -> None:
    sent = request(question).signed(SERVER, expires=SOON)
    received = records_to_request(over_the_wire(request_to_records(sent)))
    assert (received.server_key, received.signature) == (SERVER.public, sent.signature)
    assert received.query() == sent.query()
    # Moments are longer than sums of vectors.
    rules = {"least_noise_multiplier": 0.05, "epsilon": 1e4}
    assert isinstance(ask(tmp_path, received, touched=True, **rules), Release)


def test_signing_changes_nothing_else() -> None:
    plain = request(QUESTIONS[0])
    signed = plain.signed(SERVER, expires=SOON)
    assert replace(signed.query(), server_key="", signature="", expires=0) == plain.query()
    assert plain.signature == ""


def another(key: str, value: Any) -> Any:
    """Return another value that a request might have in its place."""
    match value:
        case list():
            return [*value[:-1], "tea"]
        case float():
            return float(np.nextafter(value, 0.0)) if value else 1.0
        case int():
            return value + 1
    if key == "trust-model":
        return str(TrustModel.CENTRAL)
    if key == "kind":
        return next(kind for kind in QUESTION_TYPES if kind != value)
    if key == "server-key":
        return a_key("impostor").public
    return ("1" if value[:1] == "0" else "0") + value[1:]


def changed_on_the_way(sent: Request) -> Iterator[tuple[str, RecordDict]]:
    """Return the messages in which one value is another than was sent, and its name."""
    for key, value in request_to_records(sent).config_records["request"].items():
        records = request_to_records(sent)
        records.config_records["request"][key] = another(key, value)
        yield key, records
    arrays = unpack_arrays(request_to_records(sent).array_records["arrays"])
    for name, array in arrays.items():
        values = array.copy()
        if not values.size:
            continue
        values.flat[0] += np.spacing(values.flat[0])
        records = request_to_records(sent)
        records.array_records["arrays"] = pack_arrays(arrays | {name: values})
        yield name, records


@pytest.mark.parametrize("question", QUESTIONS, ids=KINDS)
def test_a_request_that_was_changed_on_the_way_is_refused(
    tmp_path: Path, question: Question
) -> None:
    """Whatever a request says is signed, with every array of its question."""
    door = a_door(tmp_path, questions=set(QUESTION_TYPES), server_keys={SERVER.public})
    tried = set()
    arrays = set(unpack_arrays(request_to_records(request(question)).array_records["arrays"]))
    for name, records in changed_on_the_way(request(question).signed(SERVER, expires=SOON)):
        tried.add(name)
        try:
            received = records_to_request(over_the_wire(records))
        except MessageError:
            # Another kind of question has other fields, and not every value is possible.
            assert name in ("kind", "format", *arrays) or name.startswith("question.")
            continue
        expected = "server-not-trusted" if name == "server-key" else "signature-wrong"
        assert reason(door.answer(received.query(), forbidden())) == expected, name
    assert tried >= {"run", "round-number", "purpose", "trust-model", "sigma", "participants"}
    assert tried >= {"encoder", "catalogue", "kind", "server-key", "signature"}
    assert tried & arrays or any(name.startswith("question.") for name in tried)
    assert door.ledger.entries() == []


def test_every_array_of_a_question_is_tried_here() -> None:
    tried = {
        name
        for question in QUESTIONS
        for name, _ in changed_on_the_way(request(question).signed(SERVER, expires=SOON))
    }
    arrays = {"origin", "centres", "centroids", "map.centroids", "map.item_weights"}
    assert arrays | {"map.popularity", "map.noisy_sizes"} <= tried


def test_another_basis_is_refused(tmp_path: Path) -> None:
    """The example of that question has none."""
    plane = CellSums(
        origin=np.zeros(4, np.float32),
        basis=np.eye(4, 2, dtype=np.float32),
        centres=np.ones((2, 2), np.float32),
        radius=0.5,
        count_weight=0.3,
    )
    sent = request(plane).signed(SERVER, expires=SOON)
    turned = replace(sent, question=replace(plane, basis=np.eye(4, 2, -1, dtype=np.float32)))
    assert isinstance(ask(tmp_path / "sent", sent, touched=True), Release)
    assert reason(ask(tmp_path / "turned", turned)) == "signature-wrong"


def test_an_expired_request_is_refused_and_signed_anew_it_is_the_same(tmp_path: Path) -> None:
    plain, clock = request(QUESTIONS[0]), SetClock()
    first = ask(tmp_path, plain.signed(SERVER, expires=SOON), touched=True, clock=clock)
    clock.pass_days(1)
    assert reason(ask(tmp_path, plain.signed(SERVER, expires=SOON), clock=clock)) == "expired"
    again = ask(tmp_path, plain.signed(SERVER, expires=LATER), clock=clock)
    assert isinstance(first, Release)
    assert isinstance(again, Release)
    assert again.to_bytes() == first.to_bytes()


@pytest.mark.parametrize("expires", [0, LATER])
def test_nobody_on_the_way_can_prolong_a_request(tmp_path: Path, expires: int) -> None:
    sent = request(QUESTIONS[0]).signed(SERVER, expires=SOON)
    assert reason(ask(tmp_path, replace(sent, expires=expires))) == "signature-wrong"


def test_a_request_that_is_good_for_ever_is_refused_where_servers_are_known(
    tmp_path: Path,
) -> None:
    for_ever = request(QUESTIONS[0]).signed(SERVER)
    assert reason(ask(tmp_path, for_ever)) == "no-expiry"
    for_a_while = request(QUESTIONS[0]).signed(SERVER, expires=SOON)
    assert isinstance(ask(tmp_path, for_a_while, touched=True), Release)


def test_the_time_survives_the_wire_and_does_not_identify_a_request() -> None:
    sent = request(QUESTIONS[0]).signed(SERVER, expires=SOON)
    received = records_to_request(over_the_wire(request_to_records(sent)))
    assert received.expires == SOON
    assert received.query().signed_message() == sent.query().signed_message()
    later = request(QUESTIONS[0]).signed(SERVER, expires=LATER)
    assert later.query().fingerprint() == sent.query().fingerprint()
    assert later.signature != sent.signature


def test_a_request_of_another_server_is_refused(tmp_path: Path) -> None:
    received = request(QUESTIONS[0]).signed(a_key("impostor"))
    assert reason(ask(tmp_path, received)) == "server-not-trusted"


def test_an_unsigned_request_is_refused_where_servers_are_known(tmp_path: Path) -> None:
    assert reason(ask(tmp_path, request(QUESTIONS[0]))) == "server-not-trusted"
    stripped = replace(
        request(QUESTIONS[0]).signed(SERVER, expires=SOON), server_key="", signature=""
    )
    assert reason(ask(tmp_path, stripped)) == "server-not-trusted"


def test_a_name_without_a_signature_is_refused(tmp_path: Path) -> None:
    named = replace(request(QUESTIONS[0]), server_key=SERVER.public)
    assert reason(ask(tmp_path, named)) == "signature-wrong"


@pytest.mark.parametrize("key", [None, a_key("impostor")], ids=["unsigned", "any key"])
def test_where_no_server_is_known_any_may_ask(tmp_path: Path, key: SigningKey | None) -> None:
    plain = request(QUESTIONS[0])
    received = plain.signed(key) if key else plain
    assert isinstance(ask(tmp_path, received, touched=True, server_keys=set()), Release)


def test_where_no_server_is_known_a_wrong_signature_is_refused_all_the_same(
    tmp_path: Path,
) -> None:
    received = replace(request(QUESTIONS[0]).signed(SERVER, expires=SOON), sigma=3.0)
    assert reason(ask(tmp_path, received, server_keys=set())) == "signature-wrong"


@pytest.mark.parametrize("participants", [0, -1, "many"])
def test_a_request_for_nobody_is_no_request(participants: Any) -> None:
    records = request_to_records(request(QUESTIONS[0]))
    records.config_records["request"]["participants"] = participants
    with pytest.raises(MessageError, match="cannot be read"):
        records_to_request(over_the_wire(records))


def test_the_number_of_participants_survives_the_wire() -> None:
    sent = replace(request(QUESTIONS[0]), participants=17)
    assert records_to_request(over_the_wire(request_to_records(sent))).participants == 17


def test_the_same_numbers_in_another_shape_are_another_question(tmp_path: Path) -> None:
    def histogram(rows: int, width: int) -> DistanceHistogram:
        centres = np.ones((rows, width), np.float32)
        return distance_histogram(centres, bins=4)

    sent = request(histogram(1, 4)).signed(SERVER, expires=SOON)
    assert reason(ask(tmp_path, replace(sent, question=histogram(2, 2)))) == "signature-wrong"
